"""Commands about live traffic: what changed in it, its rules and alerts, and simulated traffic."""
