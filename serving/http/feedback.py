"""Feedback on answers: what is accepted, and what counts for the arm of the answer.

The replica remembers its last answers in a table of fixed size in a file: a request id of a
service has one slot, and a newer answer replaces an older one. What it forgot is still in the
traffic log. Feedback belongs to one service, whose answers alone it can be about: the one that it
names, the one that the caller's key opens, or the one that is found by its request id.

All well-formed feedback is accepted and logged, since a label may come months after its answer:

| the feedback is about | live counters | later, joined with the log |
|---|---|---|
| an answer that this replica remembers | its arm, version and epoch | counts |
| one that it forgot, or another replica's | nothing | counts |
| an id without an answer | nothing | matches nothing, and is dropped |
| another service's answer than the caller's key opens | nothing | matches nothing, and is dropped |
| the same thing twice | once | once |
| the opposite of earlier feedback | the first one stays | the last value of each field counts |
| a part that was left out before | that part | the last value of each field counts |
| an answer that has left the log | nothing | matches nothing, and is dropped |

Rating and value are two parts: each counts once. A label is only counted as arrived.
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

from serving.http.requests import Identifier, refuse_duplicates
from serving.log.records import Answer, AssignedArm, Feedback
from serving.log.request_log import RequestLog
from sluice.errors import FeedbackInvalid

ANSWERS_FILE = "answered"
"""Name of the table's file in a replica's folder."""
ENTRY = Struct("<16s41siiB")
"""Service and request id (hashed together), service, version, epoch, arm."""
CHECKED = ENTRY.size
COUNTED = CHECKED + 4
"""Behind the entry and its checksum: which parts of feedback were counted."""
WIDTH = 72
ARMS = (AssignedArm.NONE, AssignedArm.CANDIDATE, AssignedArm.CHAMPION)
ARM_NUMBERS = {arm: number for number, arm in enumerate(ARMS)}
RATED, VALUED = 1, 2


class Remembered(NamedTuple):
    """What the table has of an answer."""

    service: str
    version: int
    """Version of the assigned arm."""
    epoch: int
    arm: AssignedArm


class RecentAnswers:
    """One process's view of the table."""

    def __init__(self, path: Path, entries: int) -> None:
        """Open the table; create it with this many entries where there is none.

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
            request = _hash_request(answer.service, answer.request_id)
            service, arm = answer.service.encode(), ARM_NUMBERS[answer.arm]
            content = ENTRY.pack(request, service, answer.arm_version, answer.epoch, arm)
            start = self._find_slot(request)
            entry = content + crc32(content).to_bytes(4, "little") + b"\0"
            memory[start : start + len(entry)] = entry

    def find(self, service: str, request_id: str) -> Remembered | None:
        """Return what is remembered of a service's last answer to a request; None: nothing."""
        request = _hash_request(service, request_id)
        start = self._find_slot(request)
        content = self._memory[start : start + CHECKED]
        checksum = int.from_bytes(self._memory[start + CHECKED : start + COUNTED], "little")
        if content[:16] != request or crc32(content) != checksum:
            return None
        _, _, version, epoch, arm = ENTRY.unpack(content)
        return Remembered(service, version, epoch, ARMS[arm])

    def claim(self, service: str, request_id: str, parts: int) -> int:
        """Mark these parts of feedback as counted; return those that were not counted before."""
        start = self._find_slot(_hash_request(service, request_id)) + COUNTED
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, start)
        try:
            counted = self._memory[start]
            self._memory[start] = counted | parts
            return parts & ~counted
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, start)

    def close(self) -> None:
        """Close the table."""
        self._memory.close()
        os.close(self._descriptor)

    def _find_slot(self, request: bytes) -> int:
        return int.from_bytes(request[:8], "little") % self._entries * WIDTH


def _hash_request(service: str, request_id: str) -> bytes:
    return xxh3_128_digest(f"{service}\0{request_id}".encode())


Rating = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Label = Annotated[str, msgspec.Meta(max_length=1000)] | int | float | bool


class FeedbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a feedback request: a request id, and at least one of the other fields."""

    request_id: Identifier
    label: Label | None = None
    rating: Rating | None = None
    value: float | None = None
    service: Identifier | None = None
    """The answer's service; needed where the request id alone does not say it."""


_DECODER = msgspec.json.Decoder(FeedbackBody)


def decode_feedback(body: bytes) -> FeedbackBody:
    """Decode the body of a feedback request.

    Raises:
        FeedbackInvalid: it is not JSON, has an unknown field, or a value that is not allowed.
        RequestInvalid: it has a field twice.
    """
    try:
        feedback = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FeedbackInvalid(f"feedback: {error}") from error
    refuse_duplicates(body, 0)
    numbers = (feedback.rating, feedback.value, feedback.label)
    if any(isinstance(number, float) and not isfinite(number) for number in numbers):
        raise FeedbackInvalid("feedback: found a number that is not finite; allowed: finite ones")
    if feedback.label is None and feedback.rating is None and feedback.value is None:
        raise FeedbackInvalid("feedback: found nothing; allowed: label, rating or value, or more")
    return feedback


class CallerServices(NamedTuple):
    """The services about whose answers a caller may say something."""

    names: Sequence[str]
    are_restricted: bool = False
    """Whether its key opens these alone; else feedback may also be about a service of old."""


def find_answer(
    feedback: FeedbackBody, services: CallerServices, answers: RecentAnswers
) -> tuple[str, Remembered | None]:
    """Return the service that feedback belongs to, empty for any, and its answer if remembered.

    Raises:
        FeedbackInvalid: it names no service, and its request id does not say which it is.
    """
    names = (feedback.service,) if feedback.service else services.names
    found = [(name, answers.find(name, feedback.request_id)) for name in names]
    remembered = [item for item in found if item[1] is not None]
    if len(remembered) == 1:
        return remembered[0]
    if len(found) == 1 and (feedback.service or services.are_restricted):
        return found[0]
    if not remembered and not services.are_restricted:
        return "", None
    which = "several services gave" if remembered else "nobody here remembers"
    allowed = ", ".join(name for name, _ in remembered or found) or "none is open to this key"
    message = f"service: found nothing, and {which} an answer of this request_id; allowed: "
    raise FeedbackInvalid(message + allowed)


def attribute(
    feedback: FeedbackBody,
    at: float,
    services: CallerServices,
    find_cap: Callable[[str], float],
    answers: RecentAnswers,
) -> Feedback:
    """Return the record of feedback, with the arm of its answer and the parts that count.

    Raises:
        FeedbackInvalid: it names no service, and its request id does not say which it is.
    """
    label = None if feedback.label is None else msgspec.json.encode(feedback.label).decode()
    service, answer = find_answer(feedback, services, answers)
    record = Feedback(
        feedback.request_id, at, label, feedback.rating, feedback.value, service=service
    )
    if answer is None:
        return record
    parts = RATED * (feedback.rating is not None) | VALUED * (feedback.value is not None)
    new = answers.claim(service, feedback.request_id, parts) if parts else 0
    return msgspec.structs.replace(
        record,
        arm=answer.arm,
        version=answer.version,
        epoch=answer.epoch,
        value_cap=find_cap(service),
        counts_rating=bool(new & RATED) and answer.arm is not AssignedArm.NONE,
        counts_value=bool(new & VALUED) and answer.arm is not AssignedArm.NONE,
    )


class FeedbackLog:
    """Logs feedback, and counts it for the arm of the answer that it is about."""

    def __init__(self, request_log: RequestLog, answers: RecentAnswers) -> None:
        self._request_log, self._answers = request_log, answers

    def record(
        self,
        feedback: FeedbackBody,
        at: float,
        services: CallerServices,
        find_cap: Callable[[str], float],
    ) -> asyncio.Future[None]:
        """Log feedback; the future is done when it is in the log.

        `find_cap` returns the largest business value that counts for a service.

        Raises:
            FeedbackInvalid: it names no service, and its request id does not say which it is.
            SpoolFull: there is no room for it; the caller may send it again.
        """
        record = attribute(feedback, at, services, find_cap, self._answers)
        return self._request_log.record(record)
