"""What one run may do while others run: leases, causes, approvals, routes: rules without clock."""
