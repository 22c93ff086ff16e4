"""Feedback on an answer, by its request id: what is taken, and what it counts for.

A table of fixed size in a file: a request id has one place in it, and a newer answer takes the
place of an older one. It is a memory, not a record: what it forgot is still in the traffic log.

Whatever is well-formed is taken and logged, since a label may come months after its answer:

| what is told | taken | live counters | later, joined with the log |
|---|---|---|---|
| about an answer that this replica remembers | yes | its arm, version and epoch | counts |
| about one that it forgot, or that another replica gave | yes | nothing | counts |
| about an id that nobody answered | yes | nothing | matches nothing, and is dropped |
| the same twice | yes | once | once |
| the contrary of what was told | yes | the first word stays | the last word of each field counts |
| a part that was left out before | yes | that part | the last word of each field |
| after the answer left the log | yes | nothing | matches nothing, and is dropped |

Rating and value are two parts: each counts once. A label has no live counter.
"""

import asyncio
import fcntl
import mmap
import os
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from struct import Struct
from typing import Annotated, NamedTuple
from zlib import crc32

import msgspec
from xxhash import xxh3_128_digest

from serving.log.ledger import RequestLog
from serving.log.records import Answer, AssignedArm, Feedback
from sluice.errors import FeedbackInvalid

ANSWERED = "answered"
"""Name of the table's file in a replica's folder."""
ENTRY = Struct("<16s41siiB")
"""Request id (hashed), service, version, epoch, arm."""
CHECKED = ENTRY.size
TOLD = CHECKED + 4
"""Behind the entry and its checksum: which parts of feedback were taken."""
WIDTH = 72
ARMS = (AssignedArm.NONE, AssignedArm.CANDIDATE, AssignedArm.CHAMPION)
ARM_NUMBERS = {arm: number for number, arm in enumerate(ARMS)}
RATED, VALUED = 1, 2


class Remembered(NamedTuple):
    """What is remembered of an answer."""

    service: str
    version: int
    """Of the assigned arm."""
    epoch: int
    arm: AssignedArm


class RecentAnswers:
    """One process's view of the table."""

    def __init__(self, path: Path, entries: int) -> None:
        """Open the table; it is made with this many entries where there is none.

        Raises:
            OSError: there is no room for it.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if os.fstat(self._descriptor).st_size == 0:
            os.posix_fallocate(self._descriptor, 0, entries * WIDTH)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        size = os.fstat(self._descriptor).st_size
        self._entries = size // WIDTH
        self._memory = mmap.mmap(self._descriptor, size)

    def remember(self, answers: Sequence[Answer]) -> None:
        """Put answers into the table."""
        memory = self._memory
        for answer in answers:
            request = xxh3_128_digest(answer.request_id.encode())
            service, arm = answer.service.encode(), ARM_NUMBERS[answer.arm]
            content = ENTRY.pack(request, service, answer.arm_version, answer.epoch, arm)
            start = self._place(request)
            entry = content + crc32(content).to_bytes(4, "little") + b"\0"
            memory[start : start + len(entry)] = entry

    def find(self, request_id: str) -> Remembered | None:
        """Give what is remembered of a request's last answer; None where nothing is."""
        request = xxh3_128_digest(request_id.encode())
        start = self._place(request)
        content = self._memory[start : start + CHECKED]
        checksum = int.from_bytes(self._memory[start + CHECKED : start + TOLD], "little")
        if content[:16] != request or crc32(content) != checksum:
            return None
        _, service, version, epoch, arm = ENTRY.unpack(content)
        return Remembered(service.rstrip(b"\0").decode(), version, epoch, ARMS[arm])

    def claim(self, request_id: str, parts: int) -> int:
        """Give which of these parts of feedback nobody told before; they are taken by asking."""
        start = self._place(xxh3_128_digest(request_id.encode())) + TOLD
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, start)
        try:
            told = self._memory[start]
            self._memory[start] = told | parts
            return parts & ~told
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, start)

    def close(self) -> None:
        """Let go of the table."""
        self._memory.close()
        os.close(self._descriptor)

    def _place(self, request: bytes) -> int:
        return int.from_bytes(request[:8], "little") % self._entries * WIDTH


RequestId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Rating = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Label = Annotated[str, msgspec.Meta(max_length=1000)] | int | float | bool


class FeedbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call: a request id, and at least one of label, rating and value."""

    request_id: RequestId
    label: Label | None = None
    rating: Rating | None = None
    value: float | None = None


_DECODER = msgspec.json.Decoder(FeedbackBody)


def decode_feedback(body: bytes) -> FeedbackBody:
    """Read the body of a call.

    Raises:
        FeedbackInvalid: it is no JSON, has an unknown field, or a value that is not allowed.
    """
    try:
        opinion = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FeedbackInvalid(f"feedback: {error}") from error
    numbers = (opinion.rating, opinion.value, opinion.label)
    if any(isinstance(number, float) and not isfinite(number) for number in numbers):
        raise FeedbackInvalid("feedback: found a number that is not finite; allowed: finite ones")
    if opinion.label is None and opinion.rating is None and opinion.value is None:
        raise FeedbackInvalid("feedback: nothing is told; allowed: label, rating or value, or more")
    return opinion


def attribute(
    opinion: FeedbackBody, at: float, find_cap: Callable[[str], float], answered: RecentAnswers
) -> Feedback:
    """Give the record of what was told, with the answer's arm and what counts of it."""
    label = None if opinion.label is None else msgspec.json.encode(opinion.label).decode()
    told = Feedback(opinion.request_id, at, label, opinion.rating, opinion.value)
    answer = answered.find(opinion.request_id)
    if answer is None:
        return told
    parts = RATED * (opinion.rating is not None) | VALUED * (opinion.value is not None)
    new = answered.claim(opinion.request_id, parts) if parts else 0
    return msgspec.structs.replace(
        told,
        service=answer.service,
        arm=answer.arm,
        version=answer.version,
        epoch=answer.epoch,
        value_cap=find_cap(answer.service),
        rates=bool(new & RATED) and answer.arm is not AssignedArm.NONE,
        values=bool(new & VALUED) and answer.arm is not AssignedArm.NONE,
    )


class FeedbackLog:
    """Takes feedback into the log, counted for the arm of the answer that it is about."""

    def __init__(self, ledger: RequestLog, answered: RecentAnswers) -> None:
        self._ledger, self._answered = ledger, answered

    def record(
        self, opinion: FeedbackBody, at: float, find_cap: Callable[[str], float]
    ) -> asyncio.Future[None]:
        """Log feedback; the future is done when it is in the log.

        `find_cap` returns the largest business value that counts for a service.

        Raises:
            SpoolFull: there is no room for it; the caller may send it again.
        """
        return self._ledger.record(attribute(opinion, at, find_cap, self._answered))
