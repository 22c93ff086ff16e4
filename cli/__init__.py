"""What a person types: the console script `sluice`, one file a group of commands."""

from sluice.garbage import collect_rarely

collect_rarely()  # before the modules that a command imports
