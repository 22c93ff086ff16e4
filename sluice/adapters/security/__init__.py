"""Advisories, the project's tree, and keys: where the security gate's evidence comes from."""
