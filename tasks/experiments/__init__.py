"""What experiments do outside: read traffic, move routes, publish reports, record decisions."""
