"""The record of the local stack that runs in a state folder: where its parts are."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sluice.documents import read_json
from sluice.home import Home


@dataclass(frozen=True)
class StackRecord:
    """A running local stack: its addresses, its worker's log, and its supervising process."""

    pid: int
    prefect: str
    mlflow: str
    worker: str
    log: str
    limit: int
    gateway: str = ""
    rollouts: str = ""


def write_stack(home: Home, record: StackRecord) -> None:
    """Record where the local stack is; call it once all parts answer."""
    draft = _record_file(home).with_suffix(".draft")
    draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
    draft.replace(_record_file(home))


def read_stack(home: Home) -> StackRecord | None:
    """Return the local stack's record; None if it is not up or its supervisor is gone."""
    try:
        record = StackRecord(**read_json(_record_file(home)))
        os.kill(record.pid, 0)
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return record


def clear_stack(home: Home) -> None:
    """Remove the local stack's record."""
    with suppress(FileNotFoundError):
        _record_file(home).unlink()


def _record_file(home: Home) -> Path:
    return home.root / "stack.json"
