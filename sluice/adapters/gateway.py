"""The gateway's replicas, asked over HTTP in bounded time."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from sluice.config.serving import GatewayConfig
from sluice.rollout.collection import Reply

LARGEST = 64 << 20
"""Bytes of an answer that are read at most."""
OK = 200


class Replica:
    """One address of a gateway, such as `http://10.0.0.7:8080`; `key` where it asks for one."""

    def __init__(self, address: str, key: str = "") -> None:
        self.address = address.rstrip("/")
        self._key = key

    def read_counters(self, seconds: float) -> Reply:
        """Give the counters of all its workers, the routes it obeys and its breakers."""
        return self._ask("/v1/counters", seconds)

    def smoke_candidate(self, service: str, seconds: float) -> Reply:
        """Have it ask the service's candidate its fixed records."""
        return self._ask(f"/v1/models/{service}:smoke", seconds)

    def _ask(self, path: str, seconds: float) -> Reply:
        try:
            connection = self._connect(seconds)
            try:
                headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                text = answer.read(LARGEST)
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            return f"no answer: {error or type(error).__name__}"
        if answer.status != OK:
            return f"{path} answers {answer.status}"
        return _read_object(text)

    def _connect(self, seconds: float) -> HTTPConnection:
        place = urlsplit(self.address)
        made = HTTPSConnection if place.scheme == "https" else HTTPConnection
        return made(place.hostname or "", place.port, timeout=seconds)


def _read_object(text: bytes) -> Reply:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "its answer is not JSON"
    return found if isinstance(found, dict) else "its answer is no object"


SECONDS = 3.0
"""How long a replica may take to answer."""


class Replicas:
    """The replicas of one gateway, each by its address."""

    def __init__(self, replicas: Sequence[Replica], seconds: float = SECONDS) -> None:
        self._replicas = tuple(replicas)
        self._seconds = seconds

    def read_counters(self) -> dict[str, Reply]:
        """Ask every replica for its counters; one that does not answer in time says so in words."""
        return self._ask_all(lambda item: item.read_counters(self._seconds))

    def smoke_candidate(self, service: str) -> dict[str, Reply]:
        """Have every replica ask the service's candidate its fixed records."""
        return self._ask_all(lambda item: item.smoke_candidate(service, self._seconds))

    def _ask_all(self, ask: Callable[[Replica], Reply]) -> dict[str, Reply]:
        pool = ThreadPoolExecutor(max_workers=max(1, len(self._replicas)))
        asked = {item.address: pool.submit(ask, item) for item in self._replicas}
        wait(asked.values(), timeout=2 * self._seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        late = f"no answer within {self._seconds:g} s"
        return {name: item.result() if item.done() else late for name, item in asked.items()}


def find_replicas(config: GatewayConfig, seconds: float = SECONDS) -> Replicas:
    """Give the replicas that `SLUICE_GATEWAY_URLS` names (commas between), else the settings do.

    `SLUICE_GATEWAY_KEY` is the key where the gateway asks for one.
    """
    named = os.environ.get("SLUICE_GATEWAY_URLS", "")
    addresses = [item.strip() for item in named.split(",") if item.strip()]
    addresses = addresses or [*config.replicas] or [f"http://127.0.0.1:{config.port}"]
    key = os.environ.get("SLUICE_GATEWAY_KEY", "")
    return Replicas([Replica(address, key) for address in addresses], seconds)
