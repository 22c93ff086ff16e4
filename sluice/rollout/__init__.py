"""How a rollout is decided, from counts alone: no clock, no network, no orchestrator."""
