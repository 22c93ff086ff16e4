"""Models in the gateway: cached on disk, loaded and checked, asked for predictions."""
