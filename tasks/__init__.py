"""What touches the world: load, fit, log, publish, raise."""
