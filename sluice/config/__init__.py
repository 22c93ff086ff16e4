"""Which choices a service makes: typed, closed, read from YAML."""
