"""Real parts for the tests: servers, services, gateways, rollouts."""
