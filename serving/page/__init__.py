"""The rollout page: a separate process that shows rollouts and accepts commands."""
