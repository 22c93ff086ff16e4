"""Services and their data, and the results of runs."""
