"""The control store: leases, causes, approvals, routes, rollouts, commands, alerts, signals."""
