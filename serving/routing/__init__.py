"""Which version answers a request: routes, assignment, circuit breaker, candidate pool, shadow."""
