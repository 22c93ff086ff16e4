"""Commands about advisories, signatures and keys."""
