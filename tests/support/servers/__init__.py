"""Servers and stacks on loopback."""
