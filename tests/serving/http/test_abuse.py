"""Good callers beside one that means harm: no error, and nearly the same waits.

Each kind of abuse is measured for a few seconds between two times of quiet, in which a process
without connections takes as much processor time as an attacker can: a machine of two cores shows
the load of the attacker itself, too, and that is not the gateway's. Other programs of the machine
can delay callers for a moment; what an abuse causes shows in each of three measurements.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from serving.process.worker import BACKLOG
from support.gateway import abuse
from support.gateway.site import Running, Site, run_gateway, wait_until
from support.gateway.steady import SteadyCallers, SteadyReply, call_steadily, find_p99
from support.gateway.towns import Towns

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.alone]
QUIET_SECONDS, BEGIN_SECONDS, ABUSE_SECONDS = 1.0, 0.3, 2.4
MEASUREMENTS = 3
TIMES, FLOOR = 3.0, 0.025
"""How much longer 99 of 100 waits may be; below the floor, turns of the system's own decide."""
LIMITS = {"header_seconds": 1.5, "body_seconds": 1.5, "stall_seconds": 1, "drain_seconds": 2}
MEMORY = 64e6
"""Bytes that a worker may hold more than before all abuse: it keeps some for the next requests."""
CONNECTIONS, HANDLES = 1000, 50
"""Connections of a worker at most, and what it may open besides."""
SETTLE_SECONDS, IN_FLIGHT = 15.0, 10
EXPECTED = {
    "endless headers": {"431"},
    "one huge header": {"431", "broken"},
    "many small headers": {"431", "broken"},
    "slow headers": {"408"},
    "slow bodies": {"408"},
    "many fields": {"200"},
    "a field twice at the end": {"422"},
    "deep lists": {"422", "503"},
    "deep objects": {"200"},
    "a long number": {"422", "503"},
    "a huge text": {"200"},
    "too many rows": {"422", "503"},
    "as many rows as allowed": {"200"},
    "declared too large": {"413", "broken"},
    "too large in chunks": {"413", "broken"},
    "tiny chunks": {"413"},
    "requests without end": {"broken", "closed"},
    "not HTTP": {"400"},
    "idle connections": {"closed"},
    "connections that are reset": {"broken"},
    "replies that nobody reads": {"broken"},
    "wrong hosts": {"403"},
    "wrong content types": {"415"},
    "wrong keys": {"401"},
    "metrics": {"200"},
    "counters": {"200"},
    "feedback about nothing": {"202"},
}
"""What the server did with each kind, at least one of these."""


@dataclass
class Siege:
    """A gateway with good callers, and how it was before the first abuse."""

    running: Running
    callers: SteadyCallers
    access: Path
    memory: dict[int, int] = field(default_factory=dict)
    handles: dict[int, int] = field(default_factory=dict)
    quiet: tuple[float, float] = (0.0, 0.0)
    """The last time of quiet."""


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory, towns: Towns) -> Iterator[Siege]:
    """A replica of two workers with a key, all of whose answers are in the access log."""
    folder = tmp_path_factory.mktemp("abuse")
    access = folder / "access.log"
    site = Site(
        folder,
        traffic_log={"flush_seconds": 1.0, "segment_bytes": 1 << 24},
        access_log={"level": "all", "file": str(access)},
        limits=LIMITS,
    )
    site.serve("towns", towns.folder)
    keys = {"SLUICE_GATEWAY_KEYS": sha256(abuse.KEY.encode()).hexdigest()}
    with run_gateway(site, "--workers", "2", **keys) as running:
        with call_steadily(running.port, "towns", abuse.KEY) as callers:
            wait_until(lambda: len(callers.replies) > 200)
            found = Siege(running, callers, access)
            for pid in running.workers():
                found.memory[pid], found.handles[pid] = read_memory(pid), count_handles(pid)
            yield found
        assert running.end() == 0
        lines = [json.loads(line)["request_id"] for line in access.read_text().splitlines()]
        good = [name for name in lines if name.startswith("good-")]
        assert sorted(good) == sorted(callers.ids)


@contextmanager
def attack(kind: str, port: int, seconds: float) -> Iterator[dict[str, int]]:
    """Run an attacker, or a process that does no harm; what it saw is there at the end."""
    seen: dict[str, int] = {}
    words = [sys.executable, abuse.__file__, kind, str(port), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            yield seen
            content, _ = process.communicate(timeout=seconds + 30)
            seen.update(json.loads(content))
        finally:
            process.kill()


def await_window(callers: SteadyCallers, seconds: float) -> tuple[float, float]:
    """Let a time pass; return it when every request that was due in it has ended."""
    start = time.monotonic()
    time.sleep(seconds)
    wait_until(lambda: sum(item.due >= start + seconds for item in callers.replies) >= 20)
    return start, start + seconds


def watch_quiet(siege: Siege) -> tuple[float, float]:
    with attack("nothing", 0, QUIET_SECONDS + 0.3):
        return await_window(siege.callers, QUIET_SECONDS)


def read_memory(pid: int) -> int:
    """The resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def count_handles(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def count_answers(running: Running) -> int:
    """The requests that the replica's counters have."""
    page: Any = running.ask("/v1/counters").json
    counts = [item for run in page["worker_runs"] for item in run["counters"]]
    return sum(item["requests"] for item in counts)


@dataclass
class Measured:
    """One measurement of an abuse."""

    abused: list[SteadyReply]
    quiet: list[SteadyReply]
    seen: dict[str, int]
    handles: int
    """Most file handles of a worker."""

    @property
    def faults(self) -> list[str]:
        return [item.fault for item in self.abused + self.quiet if item.fault]

    @property
    def is_good(self) -> bool:
        """Whether the good callers waited hardly longer than in quiet."""
        return find_p99(self.abused) <= max(TIMES * find_p99(self.quiet), FLOOR)

    def __str__(self) -> str:
        p99, quiet = 1000 * find_p99(self.abused), 1000 * find_p99(self.quiet)
        return f"p99 {p99:.1f} ms, in quiet {quiet:.1f} ms, {self.seen}"


def measure(siege: Siege, kind: str) -> Measured:
    callers = siege.callers
    if siege.quiet[1] < time.monotonic() - 1:
        siege.quiet = watch_quiet(siege)
    before = siege.quiet
    with attack(kind, siege.running.port, BEGIN_SECONDS + ABUSE_SECONDS) as seen:
        time.sleep(BEGIN_SECONDS)
        during = await_window(callers, ABUSE_SECONDS)
        handles = max(count_handles(pid) for pid in siege.handles)
    siege.quiet = watch_quiet(siege)
    quiet = callers.between(*before) + callers.between(*siege.quiet)
    return Measured(callers.between(*during), quiet, seen, handles)


@pytest.mark.parametrize("kind", abuse.KINDS)
def test_good_callers_notice_nothing_of(siege: Siege, kind: str) -> None:
    running, found = siege.running, []
    while not found or (not found[-1].is_good and len(found) < MEASUREMENTS):
        found.append(measure(siege, kind))
        sys.stdout.write(f"{kind}: {found[-1]}\n")
        assert found[-1].faults == []
        assert set(found[-1].seen) & EXPECTED[kind], found[-1].seen
        assert found[-1].handles < CONNECTIONS + max(siege.handles.values()) + HANDLES
    assert found[-1].is_good, "; ".join(map(str, found))
    assert sorted(running.workers()) == sorted(siege.memory), "a worker was started again"
    wait_until(lambda: all(is_back(siege, pid) for pid in siege.memory), SETTLE_SECONDS)
    wait_until(lambda: counts_equal_log(siege), SETTLE_SECONDS)


def test_many_idle_connections_are_bounded_and_were_all_made(siege: Siege) -> None:
    with attack("idle connections", siege.running.port, 3.0) as seen:
        pass
    most = len(siege.memory) * CONNECTIONS + BACKLOG  # the kernel's queue has no answer yet
    assert seen["opened"] >= 10_000 - most
    assert seen["closed"] >= seen["opened"] - most


def counts_equal_log(siege: Siege) -> bool:
    """Whether the counters have as many answers as the access log, at some moment in between."""
    before = siege.access.read_bytes().count(b"\n")
    counted = count_answers(siege.running)
    return before <= counted <= siege.access.read_bytes().count(b"\n") + IN_FLIGHT


def is_back(siege: Siege, pid: int) -> bool:
    """Whether a worker has the memory and the handles of before."""
    return (
        read_memory(pid) < siege.memory[pid] + MEMORY
        and count_handles(pid) < siege.handles[pid] + HANDLES
    )
