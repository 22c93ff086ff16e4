"""What one run may do while others run: leases, causes and approvals, as rules without a clock."""
