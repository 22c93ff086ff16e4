"""The rollout page: a small process of its own that shows rollouts and takes commands."""
