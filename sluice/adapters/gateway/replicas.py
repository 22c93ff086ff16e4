"""All replicas of the gateway, asked at once and in bounded time."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from sluice.adapters.gateway.replica import Replica
from sluice.config.serving import GatewayConfig
from sluice.rollout.sighting import Reply

SECONDS = 3.0
"""How long a replica may take to answer."""
T = TypeVar("T")


class Replicas:
    """The replicas of one gateway, each by its address."""

    def __init__(self, replicas: Sequence[Replica], seconds: float = SECONDS) -> None:
        self._replicas = tuple(replicas)
        self._seconds = seconds

    def read_counters(self) -> dict[str, Reply]:
        """Ask every replica for its counters; one that does not answer in time says so in words."""
        late = f"no answer within {self._seconds:g} s"
        return self._ask(lambda replica: replica.read_counters(self._seconds), late)

    def try_version(self, service: str, version: int, records: list[dict[str, Any]]) -> str:
        """Ask a version of every replica for fixed records; give what is wrong, or nothing.

        Without a replica or a record nothing is proved, and that is said.
        """
        if not self._replicas or not records:
            return "no replica is named" if records else "the version has no fixed records"
        late = f"no answer within {self._seconds:g} s"
        said = self._ask(
            lambda replica: replica.try_version(service, version, records, self._seconds), late
        )
        return "; ".join(filter(None, said.values()))

    def _ask(self, question: Callable[[Replica], T], late: T) -> dict[str, T]:
        pool = ThreadPoolExecutor(max_workers=max(1, len(self._replicas)))
        asked = {item.address: pool.submit(question, item) for item in self._replicas}
        wait(asked.values(), timeout=2 * self._seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        return {name: item.result() if item.done() else late for name, item in asked.items()}


def find_replicas(config: GatewayConfig, seconds: float = SECONDS) -> Replicas:
    """Give the replicas that `SLUICE_GATEWAY_URLS` names (commas between), else the settings.

    `SLUICE_GATEWAY_KEY` is the key where the gateway asks for one.
    """
    named = os.environ.get("SLUICE_GATEWAY_URLS", "")
    addresses = [item.strip() for item in named.split(",") if item.strip()] or config.replicas
    key = os.environ.get("SLUICE_GATEWAY_KEY", "")
    return Replicas([Replica(address, key) for address in addresses], seconds)
