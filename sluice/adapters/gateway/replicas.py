"""All replicas of the gateway, asked at once and in bounded time."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from sluice.adapters.gateway.replica import Replica
from sluice.config.serving import GatewayConfig
from sluice.rollout.sighting import Reply

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
