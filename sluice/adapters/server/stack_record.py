"""One stack a home: who runs it holds a lock, and says in a file where it is."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sluice.adapters.file_lock import try_lock
from sluice.errors import ServerUnavailable
from sluice.home import Home

POLL_SECONDS, REPORT_SECONDS = 0.2, 5.0


@dataclass(frozen=True)
class StackRecord:
    """Where a running stack is: its addresses, its worker's log, and the process that keeps it."""

    pid: int
    prefect: str
    mlflow: str
    worker: str
    log: str
    limit: int
    gateway: str = ""
    rollouts: str = ""


@contextmanager
def claim_stack(home: Home, report: Callable[[str], None]) -> Iterator[StackRecord | None]:
    """Be the one that keeps the home's stack; give the record of the other, where there is one.

    Another that starts or ends at this moment is waited for.

    Raises:
        ServerUnavailable: the home cannot be written.
    """
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        lock = (home.root / "stack.lock").open("a")
    except OSError as error:
        raise ServerUnavailable(f"the stack of {home.root}: {error}") from error
    with lock:
        began = told = time.monotonic()
        while not try_lock(lock):
            if (record := read_stack(home)) is not None:
                yield record
                return
            now = time.monotonic()
            if now - told >= REPORT_SECONDS:
                report(f"  another `sluice up` of this home starts or ends, {now - began:.0f} s")
                told = now
            time.sleep(POLL_SECONDS)
        forget_stack(home)
        try:
            yield None
        finally:
            forget_stack(home)


def write_stack(home: Home, record: StackRecord) -> None:
    """Say where the stack is, now that all of it answers."""
    draft = _record_file(home).with_suffix(".draft")
    draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
    draft.replace(_record_file(home))


def read_stack(home: Home) -> StackRecord | None:
    """Give where the stack is; None where it is not up, or whoever kept it is gone."""
    try:
        record = StackRecord(**json.loads(_record_file(home).read_text(encoding="utf-8")))
        os.kill(record.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return record


def forget_stack(home: Home) -> None:
    """Say that the stack is not up, or no longer."""
    with suppress(FileNotFoundError):
        _record_file(home).unlink()


def _record_file(home: Home) -> Path:
    return home.root / "stack.json"
