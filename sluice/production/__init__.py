"""What served in production: who, since when, until when, and why."""
