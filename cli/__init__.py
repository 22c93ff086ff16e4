"""What a person types: the console script `sluice`, one file a group of commands."""
