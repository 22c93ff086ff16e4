"""Commands about advisories."""
