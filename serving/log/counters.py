"""A worker's counters: exact sums per arm, and their snapshots on disk."""

import os
from math import isfinite
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from serving.log.records import Answer, AssignedArm, Feedback, Record, Shadow
from serving.log.spool import Position
from sluice.rollout.latency import bucket_of

PARTS = 1_000_000
"""Shares of a cap are counted in millionths."""
FASTEST_MS, SLOWEST_MS = 0.001, 1e7
NO_STAGE = -1.0


class Key(NamedTuple):
    """Whose counts they are; `stage` is the weight that an arm-to-be is taken at, in shadow."""

    service: str
    version: int
    arm: AssignedArm
    epoch: int
    stage: float = NO_STAGE


class ArmCounts(msgspec.Struct):
    """One key's counts since its worker began; nothing in it ever becomes smaller."""

    requests: int = 0
    failures: int = 0
    latencies: dict[int, int] = {}
    """Answered requests by bucket of sluice.rollout.latency."""
    latency_us: int = 0
    guardrails: int = 0
    feedbacks: int = 0
    negatives: int = 0
    priced: int = 0
    cost: int = 0
    """Sum of min(cost, cap) / cap in millionths, over the priced."""
    spent: int = 0
    """Sum of the costs themselves in millionths."""
    valued: int = 0
    lack: int = 0
    """Sum of 1 - min(value, cap) / cap in millionths, over the valued."""
    compared: int = 0
    differing: int = 0
    fallbacks: int = 0

    def add_call(self, call: Answer | Shadow) -> None:
        """Count one call of the arm."""
        self.requests += 1
        if call.failed:
            self.failures += 1
        else:
            bucket = find_bucket(call.latency_ms)
            self.latencies[bucket] = self.latencies.get(bucket, 0) + 1
            self.latency_us += round(1000 * _bound(call.latency_ms))
        if call.guardrail:
            self.guardrails += 1
        if call.cost is not None:
            self._add_cost(call.cost, call.cost_cap)

    def add_comparison(self, differs: bool | None) -> None:
        """Count whether the candidate's answer was the champion's; None is not compared."""
        if differs is not None:
            self.compared += 1
            self.differing += differs

    def add_feedback(self, told: Feedback) -> None:
        """Count what a caller told, as far as the record says that it counts."""
        if told.rates and told.rating is not None:
            self.feedbacks += 1
            self.negatives += told.rating < 0
        if told.values and told.value is not None and told.value_cap > 0:
            self.valued += 1
            self.lack += PARTS - find_share(told.value, told.value_cap)

    def add_counts(self, other: "ArmCounts") -> None:
        """Count everything that another has."""
        for name in self.__struct_fields__:
            if name != "latencies":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        for bucket, requests in other.latencies.items():
            self.latencies[bucket] = self.latencies.get(bucket, 0) + requests

    def _add_cost(self, cost: float, cap: float) -> None:
        if isfinite(cost):
            self.spent += round(PARTS * max(cost, 0.0))
        if cap > 0:
            self.priced += 1
            self.cost += find_share(cost, cap)


def find_bucket(milliseconds: float) -> int:
    """Give the bucket of a latency, the ends of what can be measured included."""
    return bucket_of(_bound(milliseconds))


def find_share(value: float, cap: float) -> int:
    """Give a value as millionths of its cap, from 0 to all; what is no number counts as the cap."""
    share = value / cap
    return round(PARTS * min(max(share, 0.0), 1.0)) if share == share else PARTS  # noqa: PLR0124


def _bound(milliseconds: float) -> float:
    return min(max(FASTEST_MS, milliseconds), SLOWEST_MS)  # in this order NaN is the fastest


EPOCHS = 32
"""Epochs of a service that are kept apart; what is older is counted as epoch 0."""


class Counters:
    """Counts by service, version, assigned arm, epoch, and stage to come."""

    def __init__(self, counts: dict[Key, ArmCounts] | None = None) -> None:
        self.counts = counts or {}

    def apply(self, record: Record) -> None:
        """Count one record of the log."""
        if isinstance(record, Answer):
            self._apply_answer(record)
        elif isinstance(record, Shadow):
            key = Key(record.service, record.version, AssignedArm.CANDIDATE, record.epoch)
            counts = self._find(key)
            counts.add_call(record)
            counts.add_comparison(record.differs)
        elif record.rates or record.values:
            key = Key(record.service, record.version, record.arm, record.epoch)
            self._find(key).add_feedback(record)

    def merge(self, other: "Counters") -> None:
        """Add all counts of another."""
        for key, counts in other.counts.items():
            self._find(key).add_counts(counts)

    def _apply_answer(self, answer: Answer) -> None:
        service, version, epoch = answer.service, answer.arm_version, answer.epoch
        counts = self._find(Key(service, version, answer.arm, epoch))
        counts.add_call(answer)
        if answer.fallback:
            counts.fallbacks += 1
        if answer.arm is AssignedArm.NONE:
            return
        for weight in answer.stages:
            inside = answer.place < weight
            to_be = AssignedArm.CANDIDATE if inside else AssignedArm.CHAMPION
            self._find(Key(service, version, to_be, epoch, weight)).add_call(answer)

    def _find(self, key: Key) -> ArmCounts:
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = ArmCounts()
            self._fold_epochs(key.service)
            found = self.counts.get(key) or self.counts[key._replace(epoch=0)]
        return found

    def _fold_epochs(self, service: str) -> None:
        """Keep the number of keys within bounds, by a rule that a replay repeats."""
        epochs = {key.epoch for key in self.counts if key.service == service} - {0}
        while len(epochs) > EPOCHS:
            oldest = min(epochs)
            epochs.remove(oldest)
            old = [key for key in self.counts if key.service == service and key.epoch == oldest]
            for key in old:
                counts = self.counts.pop(key)
                self.counts.setdefault(key._replace(epoch=0), ArmCounts()).add_counts(counts)

    def export(self) -> list[dict[str, Any]]:
        """Give the counts as plain values, an entry a key; sluice.rollout.collection reads them."""
        entries = []
        for key, counts in sorted(self.counts.items()):
            entry = {**key._asdict(), "arm": str(key.arm), **msgspec.structs.asdict(counts)}
            entry["stage"] = None if key.stage == NO_STAGE else key.stage
            entry["latencies"] = {str(item): n for item, n in sorted(counts.latencies.items())}
            entries.append(entry)
        return entries


HEADER = Struct("<QII")
CAPACITY = 1 << 18
PATIENCE = 20
"""Readings until a file that never holds a whole slot counts as empty."""


class Slots:
    """The writer's side; space for both slots is reserved, so that a full disk changes nothing."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        self._path = path
        self._turn = 0
        if path.exists():
            self._descriptor = os.open(path, os.O_RDWR)
            self._capacity = os.fstat(self._descriptor).st_size // 2
            self._turn = max((turn for turn, _ in _read_both(self._descriptor)), default=0)
        else:
            self._descriptor, self._capacity = _reserve(path, capacity), capacity

    def write(self, content: bytes) -> None:
        """Put a content in the place of the older one.

        Raises:
            OSError: it needs a larger file, and there is no room; the last content stays.
        """
        turn = self._turn + 1
        record = _build(turn, content)
        if len(record) > self._capacity:
            self._grow(len(record))
        os.pwrite(self._descriptor, record, turn % 2 * self._capacity)
        self._turn = turn  # only now: after a failure the newest slot must not be written over

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _grow(self, size: int) -> None:
        draft = self._path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        descriptor = _reserve(draft, 2 * size)
        last = _choose(_read_both(self._descriptor))
        if last:
            turn, content = last
            record = _build(turn, content)
            os.pwrite(descriptor, record, turn % 2 * 2 * size)
        draft.rename(self._path)
        os.close(self._descriptor)
        self._descriptor, self._capacity = descriptor, 2 * size


def read_slots(path: Path) -> bytes | None:
    """Give the newest whole content; None where there is none."""
    for _ in range(PATIENCE):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            found = _choose(_read_both(descriptor))
            empty = not any(os.pread(descriptor, HEADER.size, 0))
        finally:
            os.close(descriptor)
        if found:
            return found[1]
        if empty:
            return None
    return None


def _build(turn: int, content: bytes) -> bytes:
    return HEADER.pack(turn, len(content), _check(turn, content)) + content


def _check(turn: int, content: bytes) -> int:
    # With the turn: what is left of an older content must not pass for a new one.
    return crc32(content, crc32(turn.to_bytes(8, "little")))


def _reserve(path: Path, capacity: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, 2 * capacity)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def _read_both(descriptor: int) -> list[tuple[int, bytes]]:
    capacity = os.fstat(descriptor).st_size // 2
    found = []
    for start in (0, capacity) if capacity >= HEADER.size else ():
        turn, length, checksum = HEADER.unpack(os.pread(descriptor, HEADER.size, start))
        content = os.pread(descriptor, min(length, capacity), start + HEADER.size)
        if turn and len(content) == length and _check(turn, content) == checksum:
            found.append((turn, content))
    return found


def _choose(found: list[tuple[int, bytes]]) -> tuple[int, bytes] | None:
    return max(found, key=lambda item: item[0], default=None)


class Snapshot(msgspec.Struct, frozen=True):
    """Counters of everything before a position; final once the life is over."""

    segment: int = 0
    offset: int = 0
    final: bool = False
    entries: list[tuple[Key, ArmCounts]] = []

    @property
    def position(self) -> Position:
        """Behind the last record that is counted."""
        return Position(self.segment, self.offset)

    def restore(self) -> Counters:
        """Give the counters."""
        return Counters(dict(self.entries))


_DECODER = msgspec.msgpack.Decoder(Snapshot)
_ENCODER = msgspec.msgpack.Encoder()


def encode_snapshot(counters: Counters, position: Position, final: bool = False) -> bytes:
    """Give counters as bytes."""
    return _ENCODER.encode(Snapshot(*position, final, list(counters.counts.items())))


def read_snapshot(path: Path) -> Snapshot:
    """Give the newest snapshot of a file; an empty one where there is none."""
    content = read_slots(path)
    return _DECODER.decode(content) if content else Snapshot()
