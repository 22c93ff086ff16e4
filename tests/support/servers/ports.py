"""Ports of loopback."""

import socket


def find_free_ports(count: int) -> list[int]:
    """Give ports on which nobody listens, each another."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def find_free_port() -> int:
    """Give one port on which nobody listens."""
    [port] = find_free_ports(1)
    return port
