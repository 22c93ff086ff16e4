"""The breakers as a worker uses them: the candidate's at once, the champion's now and then."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serving.breaker import SharedBreaker
from serving.circuit import Admission
from serving.record import AssignedArm

GATHER_SECONDS = 0.1
CANDIDATE, CHAMPION = AssignedArm.CANDIDATE, AssignedArm.CHAMPION
Arm = tuple[str, int]


class Circuits:
    """A replica's breakers, seen from one event loop.

    A trip of the champion's cuts nobody off, since no other could answer: it tells a controller
    that a failing candidate is not to blame. So its results are told ten times a second.
    """

    def __init__(self, path: Path) -> None:
        """Open the replica's file.

        Raises:
            OSError: there is no room for it.
        """
        self._shared = SharedBreaker(path)
        self._gathered: dict[Arm, list[bool]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def is_closed(self, service: str, version: int) -> bool:
        """Whether the candidate may have its requests."""
        return self._shared.read(service, version, CANDIDATE).is_closed

    def admit(self, service: str, version: int, now: float) -> Admission:
        """Tell whether a candidate that was cut off may have one request, to see how it is."""
        return self._shared.admit(service, version, CANDIDATE, now)

    def tell_candidate(
        self, service: str, version: int, failed: bool, now: float, is_probe: bool = False
    ) -> None:
        """Tell how a request of the candidate went."""
        if is_probe:
            self._shared.observe_probe(service, version, CANDIDATE, failed, now)
        else:
            self._shared.observe(service, version, CANDIDATE, [failed], now)

    def tell_champion(self, service: str, version: int, failed: bool) -> None:
        """Tell how a request of the champion went."""
        if not self._gathered:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self._flush)
        self._gathered.setdefault((service, version), []).append(failed)

    def describe(self, arms: Iterable[tuple[str, int, AssignedArm]]) -> list[dict[str, Any]]:
        """Give the state of each of these arms as plain values."""
        found = []
        for service, version, arm in arms:
            circuit = self._shared.read(service, version, arm)
            state = {"open": not circuit.is_closed, "trips": circuit.trips}
            evidence = circuit.breaker.log_evidence
            named = {"service": service, "version": version, "arm": str(arm)}
            found.append({**named, **state, "log_evidence": evidence})
        return found

    def close(self) -> None:
        """Tell what was gathered, and let go of the file."""
        if self._timer:
            self._timer.cancel()
        self._flush()
        self._shared.close()

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for (service, version), failures in gathered.items():
            self._shared.observe(service, version, CHAMPION, failures, time.monotonic())
