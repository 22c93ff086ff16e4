"""What the numbers can tell: intervals, tests, resampling."""
