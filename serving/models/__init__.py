"""Models in the gateway: cached on disk, loaded and proved, asked for predictions."""
