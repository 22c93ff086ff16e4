"""The gateway: it answers requests with the models that the routes name."""
