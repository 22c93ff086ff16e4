"""The status page: a process that shows every service and accepts commands for rollouts."""
