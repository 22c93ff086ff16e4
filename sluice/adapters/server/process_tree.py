"""The processes of a local stack, found by a mark in their environment (Linux).

The mark outlives the process that set it: a flow run inherits it from its worker. On a system
without /proc no process is found.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from sluice.home import Home

MARK, PART = "SLUICE_STACK", "SLUICE_STACK_PART"
FLOW_RUN = "PREFECT__FLOW_RUN_ID"
PROCESSES = Path("/proc")


@dataclass(frozen=True)
class RelatedProcess:
    """One process of a local stack: its part, and its flow run, if it is one."""

    pid: int
    parent: int
    part: str
    flow_run: str = ""


def mark_part(home: Home, part: str) -> dict[str, str]:
    """Return the variables that mark a process and its children as part of the local stack."""
    return {MARK: str(home.root), PART: part}


def can_find() -> bool:
    """Whether this system shows the environment of processes."""
    return (PROCESSES / "self" / "environ").exists()


def find_related(home: Home) -> list[RelatedProcess]:
    """Return every live process with the state folder's mark, except this one."""
    found = []
    for place in PROCESSES.glob("[0-9]*"):
        if int(place.name) == os.getpid():
            continue
        values = _read_environment(place)
        if values.get(MARK) == str(home.root) and (parent := _read_parent(place)) is not None:
            part, run = values.get(PART, ""), values.get(FLOW_RUN, "")
            found.append(RelatedProcess(int(place.name), parent, "flow run" if run else part, run))
    return found


def find_flow_runs() -> set[str]:
    """Return the ids of all flow runs that have a process on this machine."""
    return {_read_environment(place).get(FLOW_RUN, "") for place in PROCESSES.glob("[0-9]*")}


def _read_environment(place: Path) -> dict[str, str]:
    try:
        text = (place / "environ").read_bytes().decode(errors="replace")
    except OSError:  # the process has ended, or belongs to another user
        return {}
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def _read_parent(place: Path) -> int | None:
    """Return the parent's process id; None for a dead process that was not reaped yet."""
    try:
        state, parent = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(parent)
