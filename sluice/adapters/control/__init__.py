"""The control store: leases, causes, approvals, watermarks, routes, rollouts, commands."""
