"""The configuration of the security gate."""
