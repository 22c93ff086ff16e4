"""The circuit breakers of the arms, shared by all workers of a replica through a file.

Times are seconds of one monotonic clock, which all workers of a machine share.

Each arm has a place in it and a lock of its own, which the kernel frees when its holder dies. The
state stands there twice, each with a checksum: a holder that is killed while it writes leaves the
state before.
"""

import asyncio
import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isnan, nan
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

from xxhash import xxh3_128_digest

from serving.log.records import AssignedArm
from sluice.rollout.breaker import Breaker

FIRST_WAIT, LONGEST_WAIT = 30.0, 600.0
PROBE_SECONDS = 1.0
SUCCESSES = 20


class Admission(StrEnum):
    """Whether an arm may have a request."""

    YES = "yes"
    PROBE = "probe"
    """One request of an open arm, to see how it is."""
    NO = "no"


@dataclass(frozen=True)
class CircuitBreaker:
    """The state of one arm, for all workers of a replica."""

    breaker: Breaker = field(default_factory=Breaker)
    opened: float | None = None
    """When it was opened last; None while it is closed."""
    wait: float = FIRST_WAIT
    """Seconds without a request after that; doubled by each probe that fails."""
    probed: float = float("-inf")
    successes: int = 0
    trips: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether all its requests may pass."""
        return self.opened is None

    def admit(self, now: float) -> tuple[Admission, "CircuitBreaker"]:
        """Tell whether a request may pass now; an open arm gets one a second after its wait."""
        if self.opened is None:
            return Admission.YES, self
        if now < max(self.opened, self.probed):  # the machine was started again
            return Admission.NO, replace(self, opened=now, probed=now)
        if now < self.opened + self.wait or now < self.probed + PROBE_SECONDS:
            return Admission.NO, self
        return Admission.PROBE, replace(self, probed=now)

    def observe(self, failures: Sequence[bool], now: float) -> "CircuitBreaker":
        """Give the circuit after completed requests, each failed or not; no probes."""
        breaker = self.breaker
        if self.opened is not None:  # admitted before it opened: too late to tell anything
            return self
        for failed in failures:
            breaker = breaker.observe(failed)
            if breaker.is_tripped:
                return CircuitBreaker(breaker, now, trips=self.trips + 1)
        return replace(self, breaker=breaker)

    def observe_probe(self, failed: bool, now: float) -> "CircuitBreaker":
        """Give the circuit after a probe: 20 good ones close it, a failed one opens it anew."""
        if self.opened is None or now < self.opened + self.wait:
            return self
        if failed:
            wait = min(2 * self.wait, LONGEST_WAIT)
            return replace(self, opened=now, wait=wait, successes=0)
        if self.successes + 1 >= SUCCESSES:
            return CircuitBreaker(trips=self.trips)
        return replace(self, successes=self.successes + 1)


STATE = Struct("<Q4ddddii")
"""Turn, sums, opened (NaN: closed), wait, probed, successes, trips."""
CHECKSUM = Struct("<I")
COPY = STATE.size + CHECKSUM.size
NAME = 16
WIDTH = NAME + 2 * COPY
ARMS = 1024
"""Arms of all services and versions that the file has places for."""


class ReplicaBreakers:
    """One process's view of the circuits; used from one thread."""

    def __init__(self, path: Path) -> None:
        """Open the file; it is made where it is missing.

        Raises:
            OSError: there is no room for it.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._descriptor, 0, ARMS * WIDTH)
        self._memory = mmap.mmap(self._descriptor, ARMS * WIDTH)
        self._places: dict[tuple[str, int, AssignedArm], int] = {}

    def read(self, service: str, version: int, arm: AssignedArm) -> CircuitBreaker:
        """Give an arm's circuit as it is now."""
        return self._read(self._find_place(service, version, arm))[1]

    def admit(self, service: str, version: int, arm: AssignedArm, now: float) -> Admission:
        """Tell whether an arm may have a request; a probe is given to one worker only."""
        place = self._find_place(service, version, arm)
        if self._read(place)[1].is_closed:
            return Admission.YES
        with self._locked(place):
            turn, circuit = self._read(place)
            admission, changed = circuit.admit(now)
            if changed is not circuit:
                self._write(place, turn + 1, changed)
        return admission

    def observe(
        self, service: str, version: int, arm: AssignedArm, failures: Sequence[bool], now: float
    ) -> bool:
        """Tell the arm's completed requests, each failed or not; whether they opened the circuit.

        Several at once cost one lock: the champion's may be gathered over a turn of the event loop.
        """
        return self._change(service, version, arm, lambda item: item.observe(failures, now))

    def observe_probe(
        self, service: str, version: int, arm: AssignedArm, failed: bool, now: float
    ) -> bool:
        """Tell how a probe went; whether it opened the circuit anew."""
        return self._change(service, version, arm, lambda item: item.observe_probe(failed, now))

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        os.close(self._descriptor)

    def _change(
        self,
        service: str,
        version: int,
        arm: AssignedArm,
        step: Callable[[CircuitBreaker], CircuitBreaker],
    ) -> bool:
        place = self._find_place(service, version, arm)
        with self._locked(place):
            turn, circuit = self._read(place)
            changed = step(circuit)
            if changed is not circuit:
                self._write(place, turn + 1, changed)
        return changed.opened is not None and changed.opened != circuit.opened

    @contextmanager
    def _locked(self, start: int) -> Iterator[None]:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, NAME, start)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, NAME, start)

    def _find_place(self, service: str, version: int, arm: AssignedArm) -> int:
        known = self._places.get((service, version, arm))
        if known is not None:
            return known
        name = xxh3_128_digest(f"{service}:{version}:{arm}".encode())
        first = int.from_bytes(name[:4], "little")
        with self._locked(ARMS * WIDTH):  # behind the last place: the lock for taking one
            for step in range(ARMS):
                place = (first + step) % ARMS * WIDTH
                found = self._memory[place : place + NAME]
                if not any(found):
                    self._memory[place : place + NAME] = name
                    found = name
                if found == name:
                    self._places[service, version, arm] = place
                    return place
        raise ValueError(f"more than {ARMS} arms; next: remove the replica's file of breakers")

    def _read(self, place: int) -> tuple[int, CircuitBreaker]:
        best: tuple[float, ...] | None = None
        for start in (place + NAME, place + NAME + COPY):
            content = self._memory[start : start + STATE.size]
            (checksum,) = CHECKSUM.unpack_from(self._memory, start + STATE.size)
            state = STATE.unpack(content)
            if state[0] and crc32(content) == checksum and (best is None or state[0] > best[0]):
                best = state
        return (int(best[0]), _build_circuit(best)) if best else (0, CircuitBreaker())

    def _write(self, place: int, turn: int, circuit: CircuitBreaker) -> None:
        opened = nan if circuit.opened is None else circuit.opened
        content = STATE.pack(
            turn,
            *circuit.breaker.sums,
            opened,
            circuit.wait,
            circuit.probed,
            circuit.successes,
            circuit.trips,
        )
        start = place + NAME + turn % 2 * COPY
        self._memory[start : start + COPY] = content + CHECKSUM.pack(crc32(content))


def _build_circuit(state: tuple[float, ...]) -> CircuitBreaker:
    _, *sums, opened, wait, probed, successes, trips = state
    return CircuitBreaker(
        Breaker(tuple(sums)),
        None if isnan(opened) else opened,
        wait,
        probed,
        int(successes),
        int(trips),
    )


GATHER_SECONDS = 0.1
CANDIDATE, CHAMPION = AssignedArm.CANDIDATE, AssignedArm.CHAMPION
Arm = tuple[str, int]


class WorkerBreakers:
    """A replica's breakers, seen from one event loop.

    A trip of the champion's cuts nobody off, since no other could answer: it tells a controller
    that a failing candidate is not to blame. So its results are told ten times a second.
    """

    def __init__(self, path: Path) -> None:
        """Open the replica's file.

        Raises:
            OSError: there is no room for it.
        """
        self._shared = ReplicaBreakers(path)
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
