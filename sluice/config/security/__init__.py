"""The configuration of the security gate and of signatures."""
