"""What a new file holds: its cells, columns, their roles, its faults, and what its size allows."""
