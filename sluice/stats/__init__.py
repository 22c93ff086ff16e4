"""Statistics behind the gates: intervals, tests and resampling."""
