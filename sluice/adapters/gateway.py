"""HTTP client of the gateway's replicas, with time limits."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from sluice.adapters.addresses import find_gateways
from sluice.config.serving import GatewayConfig
from sluice.documents import DocumentInvalid, parse_json
from sluice.home import Home
from sluice.rollout.collection import Reply

MAX_BYTES = 64 << 20
"""Most bytes of an answer that are read."""
OK = 200
SECONDS = 3.0
"""How long a replica may take to answer."""


class Replica:
    """One replica at an address such as `http://10.0.0.7:8080`; `key` where it needs one."""

    def __init__(self, address: str, key: str = "") -> None:
        self.address = address.rstrip("/")
        self._key = key

    def read_counters(self, seconds: float) -> Reply:
        """Return the counters of its worker runs, its routes and its circuit breakers."""
        return self._fetch("/v1/counters", seconds)

    def smoke_candidate(self, service: str, seconds: float) -> Reply:
        """Return the result of a smoke test of the service's candidate."""
        return self._fetch(f"/v1/models/{service}:smoke", seconds)

    def _fetch(self, path: str, seconds: float) -> Reply:
        try:
            connection = self._connect(seconds)
            try:
                headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                text = answer.read(MAX_BYTES)
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            return f"no answer: {error or type(error).__name__}"
        if answer.status != OK:
            return f"{path} answers {answer.status}"
        return _read_object(text)

    def _connect(self, seconds: float) -> HTTPConnection:
        url = urlsplit(self.address)
        connect = HTTPSConnection if url.scheme == "https" else HTTPConnection
        return connect(url.hostname or "", url.port, timeout=seconds)


def _read_object(text: bytes) -> Reply:
    try:
        found = parse_json(text)
    except DocumentInvalid:
        return "its answer is not JSON"
    return found if isinstance(found, dict) else "its answer is not a JSON object"


class Replicas:
    """The replicas of one gateway, by address."""

    def __init__(self, replicas: Sequence[Replica], seconds: float = SECONDS) -> None:
        self._replicas = tuple(replicas)
        self._seconds = seconds

    def read_counters(self) -> dict[str, Reply]:
        """Return each replica's counters, or the error in words where it did not answer in time."""
        return self._fetch_all(lambda item: item.read_counters(self._seconds))

    def smoke_candidate(self, service: str) -> dict[str, Reply]:
        """Return each replica's smoke test of the service's candidate."""
        return self._fetch_all(lambda item: item.smoke_candidate(service, self._seconds))

    def _fetch_all(self, fetch: Callable[[Replica], Reply]) -> dict[str, Reply]:
        pool = ThreadPoolExecutor(max_workers=max(1, len(self._replicas)))
        futures = {item.address: pool.submit(fetch, item) for item in self._replicas}
        wait(futures.values(), timeout=2 * self._seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        late = f"no answer within {self._seconds:g} s"
        return {name: item.result() if item.done() else late for name, item in futures.items()}


def find_replicas(home: Home, config: GatewayConfig, seconds: float = SECONDS) -> Replicas:
    """Return the replicas of a state folder's gateway, wherever they are now.

    `SLUICE_GATEWAY_KEY` is the key where the gateway needs one.
    """
    addresses = find_gateways(home, config)
    key = os.environ.get("SLUICE_GATEWAY_KEY", "")
    return Replicas([Replica(address, key) for address in addresses], seconds)
