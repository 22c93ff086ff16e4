"""The arms' circuits in a file that all workers of a replica share.

Each arm has a place in it and a lock of its own, which the kernel frees when its holder dies. The
state stands there twice, each with a checksum: a holder that is killed while it writes leaves the
state before.
"""

import fcntl
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isnan, nan
from pathlib import Path
from struct import Struct
from zlib import crc32

from xxhash import xxh3_128_digest

from serving.circuit import Admission, Circuit
from serving.record import AssignedArm
from sluice.rollout.breaker import Breaker

STATE = Struct("<Q4ddddii")
"""Turn, sums, opened (NaN: closed), wait, probed, successes, trips."""
CHECKSUM = Struct("<I")
COPY = STATE.size + CHECKSUM.size
NAME = 16
WIDTH = NAME + 2 * COPY
ARMS = 1024
"""Arms of all services and versions that the file has places for."""


class SharedBreaker:
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

    def read(self, service: str, version: int, arm: AssignedArm) -> Circuit:
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
        self, service: str, version: int, arm: AssignedArm, step: Callable[[Circuit], Circuit]
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

    def _read(self, place: int) -> tuple[int, Circuit]:
        best: tuple[float, ...] | None = None
        for start in (place + NAME, place + NAME + COPY):
            content = self._memory[start : start + STATE.size]
            (checksum,) = CHECKSUM.unpack_from(self._memory, start + STATE.size)
            state = STATE.unpack(content)
            if state[0] and crc32(content) == checksum and (best is None or state[0] > best[0]):
                best = state
        return (int(best[0]), _build_circuit(best)) if best else (0, Circuit())

    def _write(self, place: int, turn: int, circuit: Circuit) -> None:
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


def _build_circuit(state: tuple[float, ...]) -> Circuit:
    _, *sums, opened, wait, probed, successes, trips = state
    return Circuit(
        Breaker(tuple(sums)),
        None if isnan(opened) else opened,
        wait,
        probed,
        int(successes),
        int(trips),
    )
