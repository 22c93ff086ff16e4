"""The open connections of one process: how many there may be, and which one has to go.

A connection holds its place without a whole request while it is silent, idle, or still sending. In
that time it can be closed for another one: the address with the most connections loses the one
that has waited longest since its last reply. So callers who ask keep their connections, however
many others are opened beside them.
"""

import asyncio
import ipaddress
import logging
import resource
from typing import Protocol

from sluice.config.serving import LimitsConfig

SWEEP_SECONDS = 0.5
"""How often time limits are looked at; a limit is kept to this much."""
OTHER_HANDLES = 256
"""File handles that a process needs besides its connections, at most."""
PREFIX_BYTES = 8
"""One caller has a whole IPv6 network of this prefix."""
FULL = "too many connections are open"
CROWDED = "too many requests are being received"
LOG = logging.getLogger("sluice.gateway")


class Connection(Protocol):
    """What the limits need to know of a connection."""

    received: int
    """Bytes of a request that is not whole yet."""
    began: float
    """When that request began, or when the connection began to wait for one."""

    @property
    def is_busy(self) -> bool:
        """Whether a whole request waits for its reply: then it is never closed for another."""

    def check_time(self, now: float) -> None:
        """Close the connection if one of its time limits is over."""

    def refuse(self, status: int, message: str) -> None:
        """Close the connection; a caller whose request has begun gets a reply first."""


class Connections:
    """The connections of one process, by address; belongs to one event loop."""

    def __init__(self, limits: LimitsConfig, most: int | None = None) -> None:
        """Allow `most` connections; by default as many as the limits and the file handles do."""
        self.limits = limits
        self.most = most or fit_to_handles(limits.connections)
        self.most_per_address = min(limits.connections_per_address, self.most)
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._count = self._incoming = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        """Return how many are open."""
        return self._count

    @property
    def incoming(self) -> int:
        """Bytes of all requests that are not whole yet."""
        return self._incoming

    def add(self, connection: Connection, address: str, loop: asyncio.AbstractEventLoop) -> None:
        """Add a connection; another one is closed for it where there are too many."""
        own = self._by_address.setdefault(address, {})
        own[connection] = None
        self._count += 1
        if self._loop is None:
            self._loop = loop
            loop.call_later(SWEEP_SECONDS, self._sweep)
        if len(own) > self.most_per_address:
            self._make_room(address, connection, address)
        elif self._count > self.most:
            most = max(self._by_address, key=lambda name: len(self._by_address[name]))
            self._make_room(most, connection, address)

    def renew(self, connection: Connection, address: str) -> None:
        """Put a connection that got its reply behind all others of its address."""
        own = self._by_address.get(address)
        if own is not None and connection in own:
            del own[connection]
            own[connection] = None

    def remove(self, connection: Connection, address: str) -> None:
        """Forget a connection; a second time does nothing."""
        own = self._by_address.get(address)
        if own is None or connection not in own:
            return
        del own[connection]
        self._count -= 1
        self.release(connection)
        if not own:
            del self._by_address[address]

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes of a request that is not whole; the oldest such is ended at the limit."""
        connection.received += size
        self._incoming += size
        while self._incoming > self.limits.incoming_bytes:
            sending = [item for item in self._list() if item.received]
            oldest = min(sending, key=lambda item: item.began)
            self.release(oldest)
            oldest.refuse(503, CROWDED)

    def release(self, connection: Connection) -> None:
        """Count the bytes of a request no more: it is whole, or it has ended."""
        self._incoming -= connection.received
        connection.received = 0

    def _make_room(self, crowded: str, new: Connection, address: str) -> None:
        """Close the connection of an address that has waited longest; the new one if all work."""
        waiting = (item for item in self._by_address[crowded] if not item.is_busy)
        chosen = next((item for item in waiting if item is not new), new)
        self.remove(chosen, address if chosen is new else crowded)
        chosen.refuse(503, FULL)

    def _sweep(self) -> None:
        loop, self._loop = self._loop, None
        if loop is None:
            return
        now = loop.time()
        for connection in self._list():
            connection.check_time(now)
        if self._count:
            self._loop = loop
            loop.call_later(SWEEP_SECONDS, self._sweep)

    def _list(self) -> list[Connection]:
        return [item for own in self._by_address.values() for item in own]


def fit_to_handles(connections: int) -> int:
    """Return how many connections fit well below the limit of file handles, which is raised first.

    Half of the handles are left for the log, the models and the store.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + OTHER_HANDLES
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft // 2 < connections:
        message = "limits.connections: %d fit below the limit of %d file handles, not %d"
        LOG.warning(message, soft // 2, soft, connections)
    return min(connections, soft // 2)


def name_address(address: str) -> str:
    """Return the address that a caller's connections are counted by; of IPv6, the network."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped) if found.ipv4_mapped else found.packed[:PREFIX_BYTES].hex()
