"""How a service is watched after its release, and what starts a retraining."""
