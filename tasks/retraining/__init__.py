"""Retraining: what starts a release by itself, what waits, and what a promotion gained."""
