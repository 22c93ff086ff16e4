"""A rollout on live traffic: its opening, its controller, its commands, its keeper."""
