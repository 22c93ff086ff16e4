"""The gates of a prompt version: evaluation, safety, cost, and bias of its texts."""
