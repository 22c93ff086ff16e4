"""The control store's tables: leases, causes, approvals, watermarks."""
