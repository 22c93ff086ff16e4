"""The release's gates: each compares evidence with a service's limits and returns a verdict."""
