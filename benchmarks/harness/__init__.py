"""What several benchmarks use: servers under measurement, load, a report of results."""
