"""Connections of the gateway: the HTTP/1.1 protocol, its limits, and the server."""
