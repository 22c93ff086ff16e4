"""What the status page shows of every service beside its rollouts."""
