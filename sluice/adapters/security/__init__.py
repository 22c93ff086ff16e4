"""Advisories and the project's tree: where the security gate's evidence comes from."""
