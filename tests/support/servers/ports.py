"""Ports of loopback."""

import socket


def find_free_ports(count: int) -> list[int]:
    """Return different ports without a listener."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def find_free_port() -> int:
    """Return one port without a listener."""
    [port] = find_free_ports(1)
    return port
