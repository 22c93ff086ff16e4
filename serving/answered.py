"""The last answers of a replica, so that feedback finds its arm; shared by the workers.

A table of fixed size in a file: a request id has one place in it, and a newer answer takes the
place of an older one. It is a memory, not a record: what it forgot is still in the traffic log.
"""

import fcntl
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from xxhash import xxh3_128_digest

from serving.record import Answer, AssignedArm

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


class Answered:
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
