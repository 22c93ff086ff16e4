"""Configuration: typed sections with known keys only, read from YAML."""
