"""Pages, tables and messages about releases and rollouts, for people."""
