"""Circuit breakers of the arms, shared by all workers of a replica through a file.

Times are in seconds of one monotonic clock, which all workers of a machine share.

In the file each arm has a slot with a lock of its own, which the kernel frees when its holder dies.
The slot has two copies of the state, each with a checksum: a holder that is killed while it writes
leaves the copy before.
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
    """One request to an arm whose breaker is open, to test whether it has recovered."""
    NO = "no"


@dataclass(frozen=True)
class CircuitBreaker:
    """The state of one arm, for all workers of a replica."""

    breaker: Breaker = field(default_factory=Breaker)
    opened: float | None = None
    """When it opened last; None while it is closed."""
    wait: float = FIRST_WAIT
    """Seconds without a request after that; doubled by each probe that fails."""
    probed: float = float("-inf")
    successes: int = 0
    trips: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether all requests of the arm may pass."""
        return self.opened is None

    def admit(self, now: float) -> tuple[Admission, "CircuitBreaker"]:
        """Return whether a request may pass now, and the new state.

        After its wait an open breaker admits one probe a second.
        """
        if self.opened is None:
            return Admission.YES, self
        if now < max(self.opened, self.probed):  # the machine was restarted: its clock began at 0
            return Admission.NO, replace(self, opened=now, probed=now)
        if now < self.opened + self.wait or now < self.probed + PROBE_SECONDS:
            return Admission.NO, self
        return Admission.PROBE, replace(self, probed=now)

    def observe(self, failures: Sequence[bool], now: float) -> "CircuitBreaker":
        """Return the state after completed requests, each failed or not; probes excluded."""
        breaker = self.breaker
        if self.opened is not None:  # admitted before it opened: too late to be evidence
            return self
        for failed in failures:
            breaker = breaker.observe(failed)
            if breaker.is_tripped:
                return CircuitBreaker(breaker, now, trips=self.trips + 1)
        return replace(self, breaker=breaker)

    def observe_probe(self, failed: bool, now: float) -> "CircuitBreaker":
        """Return the state after a probe: 20 successes close it, one failure opens it again."""
        if self.opened is None or now < self.opened + self.wait:
            return self
        if failed:
            wait = min(2 * self.wait, LONGEST_WAIT)
            return replace(self, opened=now, wait=wait, successes=0)
        if self.successes + 1 >= SUCCESSES:
            return CircuitBreaker(trips=self.trips)
        return replace(self, successes=self.successes + 1)


STATE = Struct("<Q4ddddii")
"""Sequence number, sums, opened (NaN: closed), wait, probed, successes, trips."""
CHECKSUM = Struct("<I")
COPY = STATE.size + CHECKSUM.size
NAME = 16
WIDTH = NAME + 2 * COPY
ARMS = 1024
"""Slots of the file: most arms of all services and versions."""


class ReplicaBreakers:
    """One process's view of the replica's breakers; used from one thread."""

    def __init__(self, path: Path) -> None:
        """Open the file; create it where it is missing.

        Raises:
            OSError: there is no room for it.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._descriptor, 0, ARMS * WIDTH)
        self._memory = mmap.mmap(self._descriptor, ARMS * WIDTH)
        self._slots: dict[tuple[str, int, AssignedArm], int] = {}

    def read(self, service: str, version: int, arm: AssignedArm) -> CircuitBreaker:
        """Return an arm's breaker as it is now."""
        return self._read(self._find_slot(service, version, arm))[1]

    def admit(self, service: str, version: int, arm: AssignedArm, now: float) -> Admission:
        """Return whether an arm may have a request; only one worker gets a probe."""
        slot = self._find_slot(service, version, arm)
        if self._read(slot)[1].is_closed:
            return Admission.YES
        with self._locked(slot):
            sequence, before = self._read(slot)
            admission, after = before.admit(now)
            if after is not before:
                self._write(slot, sequence + 1, after)
        return admission

    def observe(
        self, service: str, version: int, arm: AssignedArm, failures: Sequence[bool], now: float
    ) -> bool:
        """Record completed requests, each failed or not; return whether they opened the breaker.

        Several at once cost one lock.
        """
        return self._change(service, version, arm, lambda item: item.observe(failures, now))

    def observe_probe(
        self, service: str, version: int, arm: AssignedArm, failed: bool, now: float
    ) -> bool:
        """Record the result of a probe; return whether it opened the breaker again."""
        return self._change(service, version, arm, lambda item: item.observe_probe(failed, now))

    def close(self) -> None:
        """Close the file."""
        self._memory.close()
        os.close(self._descriptor)

    def _change(
        self,
        service: str,
        version: int,
        arm: AssignedArm,
        step: Callable[[CircuitBreaker], CircuitBreaker],
    ) -> bool:
        slot = self._find_slot(service, version, arm)
        with self._locked(slot):
            sequence, before = self._read(slot)
            after = step(before)
            if after is not before:
                self._write(slot, sequence + 1, after)
        return after.opened is not None and after.opened != before.opened

    @contextmanager
    def _locked(self, start: int) -> Iterator[None]:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, NAME, start)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, NAME, start)

    def _find_slot(self, service: str, version: int, arm: AssignedArm) -> int:
        """Return the offset of an arm's slot; the arm takes a free one if it has none."""
        known = self._slots.get((service, version, arm))
        if known is not None:
            return known
        name = xxh3_128_digest(f"{service}:{version}:{arm}".encode())
        first = int.from_bytes(name[:4], "little")
        with self._locked(ARMS * WIDTH):  # behind the last slot: the lock for taking one
            for step in range(ARMS):
                slot = (first + step) % ARMS * WIDTH
                found = self._memory[slot : slot + NAME]
                if not any(found):
                    self._memory[slot : slot + NAME] = name
                    found = name
                if found == name:
                    self._slots[service, version, arm] = slot
                    return slot
        raise ValueError(f"more than {ARMS} arms; next: remove the replica's file of breakers")

    def _read(self, slot: int) -> tuple[int, CircuitBreaker]:
        """Return the newest whole copy: its sequence number and state."""
        newest: tuple[float, ...] | None = None
        for start in (slot + NAME, slot + NAME + COPY):
            content = self._memory[start : start + STATE.size]
            (checksum,) = CHECKSUM.unpack_from(self._memory, start + STATE.size)
            state = STATE.unpack(content)
            if state[0] and crc32(content) == checksum and (newest is None or state[0] > newest[0]):
                newest = state
        return (int(newest[0]), _build_breaker(newest)) if newest else (0, CircuitBreaker())

    def _write(self, slot: int, sequence: int, state: CircuitBreaker) -> None:
        opened = nan if state.opened is None else state.opened
        content = STATE.pack(
            sequence,
            *state.breaker.sums,
            opened,
            state.wait,
            state.probed,
            state.successes,
            state.trips,
        )
        start = slot + NAME + sequence % 2 * COPY
        self._memory[start : start + COPY] = content + CHECKSUM.pack(crc32(content))


def _build_breaker(state: tuple[float, ...]) -> CircuitBreaker:
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
    """A replica's breakers, used from one event loop.

    An open breaker of the champion stops no request, since no other version could answer. It shows
    a controller that the candidate is not to blame, so ten times a second is often enough.
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
        """Return whether a candidate whose breaker is open may have one request as a probe."""
        return self._shared.admit(service, version, CANDIDATE, now)

    def observe_candidate(
        self, service: str, version: int, failed: bool, now: float, is_probe: bool = False
    ) -> None:
        """Record the result of a candidate's request."""
        if is_probe:
            self._shared.observe_probe(service, version, CANDIDATE, failed, now)
        else:
            self._shared.observe(service, version, CANDIDATE, [failed], now)

    def observe_champion(self, service: str, version: int, failed: bool) -> None:
        """Record the result of a champion's request."""
        if not self._gathered:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self._flush)
        self._gathered.setdefault((service, version), []).append(failed)

    def describe(self, arms: Iterable[tuple[str, int, AssignedArm]]) -> list[dict[str, Any]]:
        """Return the state of each of these arms as plain values."""
        found = []
        for service, version, arm in arms:
            breaker = self._shared.read(service, version, arm)
            state = {"open": not breaker.is_closed, "trips": breaker.trips}
            evidence = breaker.breaker.log_evidence
            named = {"service": service, "version": version, "arm": str(arm)}
            found.append({**named, **state, "log_evidence": evidence})
        return found

    def close(self) -> None:
        """Write what was gathered, and close the file."""
        if self._timer:
            self._timer.cancel()
        self._flush()
        self._shared.close()

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for (service, version), failures in gathered.items():
            self._shared.observe(service, version, CHAMPION, failures, time.monotonic())
