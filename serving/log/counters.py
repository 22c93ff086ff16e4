"""A worker's counters: exact sums per arm, and their snapshots on disk.

A snapshot file has two slots that are written in turn, each with a checksum: a writer that is
killed in the middle leaves the snapshot before.
"""

import os
from collections import Counter
from math import isfinite
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from serving.log.records import Answer, AssignedArm, Feedback, Record, Shadow
from serving.log.spool import Position
from sluice.rollout.latency import bucket_of

PARTS = 1_000_000
"""Shares of a cap are counted in millionths."""
FASTEST_MS, SLOWEST_MS = 0.001, 1e7
NO_STAGE = -1.0
EPOCHS = 32
"""Epochs of a service that are counted separately; older ones are counted as epoch 0."""


class Key(NamedTuple):
    """What is counted; in shadow, `stage` is the weight of a coming stage."""

    service: str
    version: int
    arm: AssignedArm
    epoch: int
    stage: float = NO_STAGE


class ArmCounts(msgspec.Struct):
    """The counts of one key since its worker run began; none of them ever decreases."""

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
    """Sum of min(cost, cap) / cap in millionths, over the `priced` requests."""
    spent: int = 0
    """Sum of the costs themselves in millionths."""
    valued: int = 0
    lack: int = 0
    """Sum of 1 - min(value, cap) / cap in millionths, over the `valued` answers."""
    compared: int = 0
    differing: int = 0
    fallbacks: int = 0
    arrived: int = 0
    """Labels, ratings and values that came, also on answers that are no longer remembered."""
    input_tokens: int = 0
    output_tokens: int = 0
    first_bytes: dict[int, int] = {}
    """Streamed answers by bucket of the time to their first byte."""
    first_byte_us: int = 0
    hits: dict[str, int] = {}
    """What guardrails found, by side, rule and action."""
    billed: int = 0
    """Requests whose cost is known, with a cap or without."""

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
        if call.input_tokens is not None or call.output_tokens is not None:
            self.input_tokens += call.input_tokens or 0
            self.output_tokens += call.output_tokens or 0
        if call.first_byte_ms is not None:
            _add(self.first_bytes, {find_bucket(call.first_byte_ms): 1})
            self.first_byte_us += round(1000 * _bound(call.first_byte_ms))

    def add_comparison(self, differs: bool | None) -> None:
        """Count whether the candidate's answer differs from the champion's; None: not compared."""
        if differs is not None:
            self.compared += 1
            self.differing += differs

    def add_feedback(self, feedback: Feedback) -> None:
        """Count the parts of feedback that the record marks as counted."""
        if feedback.counts_rating and feedback.rating is not None:
            self.feedbacks += 1
            self.negatives += feedback.rating < 0
        if feedback.counts_value and feedback.value is not None and feedback.value_cap > 0:
            self.valued += 1
            self.lack += PARTS - find_share(feedback.value, feedback.value_cap)

    def add_counts(self, other: "ArmCounts") -> None:
        """Add all counts of another."""
        for name in self.__struct_fields__:
            value = getattr(other, name)
            if isinstance(value, dict):
                _add(getattr(self, name), value)
            else:
                setattr(self, name, getattr(self, name) + value)

    def _add_cost(self, cost: float, cap: float) -> None:
        if isfinite(cost):
            self.spent += round(PARTS * max(cost, 0.0))
            self.billed += 1
        if cap > 0:
            self.priced += 1
            self.cost += find_share(cost, cap)


Counted = TypeVar("Counted", int, str)


def _add(counts: dict[Counted, int], more: dict[Counted, int]) -> None:
    for name, n in more.items():
        counts[name] = counts.get(name, 0) + n


def find_bucket(milliseconds: float) -> int:
    """Return the bucket of a latency; beyond the measurable range, its nearest end."""
    return bucket_of(_bound(milliseconds))


def find_share(value: float, cap: float) -> int:
    """Return a value in millionths of its cap, from 0 to all; NaN counts as the cap."""
    share = value / cap
    return round(PARTS * min(max(share, 0.0), 1.0)) if share == share else PARTS  # noqa: PLR0124


def _bound(milliseconds: float) -> float:
    return min(max(FASTEST_MS, milliseconds), SLOWEST_MS)  # in this order NaN is the fastest


class Counters:
    """Counts by service, version, assigned arm, epoch and coming stage."""

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
        elif record.service:
            key = Key(record.service, record.version, record.arm, record.epoch)
            counts = self._find(key)
            counts.arrived += 1
            counts.add_feedback(record)

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
        if answer.hits:
            _add(counts.hits, dict(Counter(answer.hits)))
        if answer.arm is AssignedArm.NONE:
            return
        for weight in answer.stages:
            inside = answer.place < weight
            arm = AssignedArm.CANDIDATE if inside else AssignedArm.CHAMPION
            self._find(Key(service, version, arm, epoch, weight)).add_call(answer)

    def _find(self, key: Key) -> ArmCounts:
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = ArmCounts()
            self._fold_epochs(key.service)
            found = self.counts.get(key) or self.counts[key._replace(epoch=0)]
        return found

    def _fold_epochs(self, service: str) -> None:
        """Limit the number of keys, by a rule that a replay of the log repeats."""
        epochs = {key.epoch for key in self.counts if key.service == service} - {0}
        while len(epochs) > EPOCHS:
            oldest = min(epochs)
            epochs.remove(oldest)
            old = [key for key in self.counts if key.service == service and key.epoch == oldest]
            for key in old:
                counts = self.counts.pop(key)
                self.counts.setdefault(key._replace(epoch=0), ArmCounts()).add_counts(counts)

    def export(self) -> list[dict[str, Any]]:
        """Return the counts as plain values, as `sluice.rollout.collection` reads them."""
        entries = []
        for key, counts in sorted(self.counts.items()):
            entry = {**key._asdict(), "arm": str(key.arm), **msgspec.structs.asdict(counts)}
            entry["stage"] = None if key.stage == NO_STAGE else key.stage
            for name in ("latencies", "first_bytes"):
                entry[name] = {str(item): n for item, n in sorted(entry[name].items())}
            entries.append(entry)
        return entries


HEADER = Struct("<QII")
CAPACITY = 1 << 18
READS = 20
"""Reads after which a file that never has a whole slot counts as empty."""


class Slots:
    """The writer of a file of two slots; their space is reserved against a full disk."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        self._path = path
        self._sequence = 0
        if path.exists():
            self._descriptor = os.open(path, os.O_RDWR)
            self._capacity = os.fstat(self._descriptor).st_size // 2
            self._sequence = max((number for number, _ in _read_both(self._descriptor)), default=0)
        else:
            self._descriptor, self._capacity = _reserve(path, capacity), capacity

    def write(self, content: bytes) -> None:
        """Write a content over the older of the two.

        Raises:
            OSError: it needs a larger file, and the disk is full; the newest content stays.
        """
        sequence = self._sequence + 1
        record = _build(sequence, content)
        if len(record) > self._capacity:
            self._grow(len(record))
        os.pwrite(self._descriptor, record, sequence % 2 * self._capacity)
        self._sequence = sequence  # only now: after a failure the newest slot must stay

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _grow(self, size: int) -> None:
        draft = self._path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        descriptor = _reserve(draft, 2 * size)
        last = _newest(_read_both(self._descriptor))
        if last:
            sequence, content = last
            record = _build(sequence, content)
            os.pwrite(descriptor, record, sequence % 2 * 2 * size)
        draft.rename(self._path)
        os.close(self._descriptor)
        self._descriptor, self._capacity = descriptor, 2 * size


def read_slots(path: Path) -> bytes | None:
    """Return the newest whole content; None where there is none."""
    for _ in range(READS):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            found = _newest(_read_both(descriptor))
            empty = not any(os.pread(descriptor, HEADER.size, 0))
        finally:
            os.close(descriptor)
        if found:
            return found[1]
        if empty:
            return None
    return None


def _build(sequence: int, content: bytes) -> bytes:
    return HEADER.pack(sequence, len(content), _checksum(sequence, content)) + content


def _checksum(sequence: int, content: bytes) -> int:
    # With the sequence number: the rest of an older content must not pass for a new one.
    return crc32(content, crc32(sequence.to_bytes(8, "little")))


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
        sequence, length, checksum = HEADER.unpack(os.pread(descriptor, HEADER.size, start))
        content = os.pread(descriptor, min(length, capacity), start + HEADER.size)
        if sequence and len(content) == length and _checksum(sequence, content) == checksum:
            found.append((sequence, content))
    return found


def _newest(found: list[tuple[int, bytes]]) -> tuple[int, bytes] | None:
    return max(found, key=lambda item: item[0], default=None)


class Snapshot(msgspec.Struct, frozen=True):
    """The counters of all records before a position; final once the worker run has ended."""

    segment: int = 0
    offset: int = 0
    final: bool = False
    entries: list[tuple[Key, ArmCounts]] = []

    @property
    def position(self) -> Position:
        """Where the last counted record ends."""
        return Position(self.segment, self.offset)

    def restore(self) -> Counters:
        """Return the counters."""
        return Counters(dict(self.entries))


_DECODER = msgspec.msgpack.Decoder(Snapshot)
_ENCODER = msgspec.msgpack.Encoder()


def encode_snapshot(counters: Counters, position: Position, final: bool = False) -> bytes:
    """Encode counters as a snapshot."""
    return _ENCODER.encode(Snapshot(*position, final, list(counters.counts.items())))


def read_snapshot(path: Path) -> Snapshot:
    """Return the newest snapshot of a file; an empty one where there is none."""
    content = read_slots(path)
    return _DECODER.decode(content) if content else Snapshot()
