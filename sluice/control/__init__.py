"""Coordination of concurrent runs: leases, causes, approvals, routes; pure rules, no clock."""
