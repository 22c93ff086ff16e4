"""Services, their data, and runs that ended."""
