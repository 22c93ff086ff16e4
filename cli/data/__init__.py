"""Commands about a service's data."""
