"""The processes of a home's stack, found by a mark in their environment (Linux).

The mark outlives whoever started them: a flow run inherits it from its worker. Where the system
has no /proc nobody is found.
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
    """One process of a stack: which part of it, and which flow run, if it is one."""

    pid: int
    parent: int
    part: str
    flow_run: str = ""


def mark_part(home: Home, part: str) -> dict[str, str]:
    """Give the variables that mark a process, and all that it starts, as the home's stack."""
    return {MARK: str(home.root), PART: part}


def can_find() -> bool:
    """Whether this system tells the environment of processes at all."""
    return (PROCESSES / "self" / "environ").exists()


def find_related(home: Home) -> list[RelatedProcess]:
    """Find every live process that carries the home's mark, this one aside."""
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
    """Find the ids of all flow runs that have a process on this machine."""
    return {_read_environment(place).get(FLOW_RUN, "") for place in PROCESSES.glob("[0-9]*")}


def _read_environment(place: Path) -> dict[str, str]:
    try:
        text = (place / "environ").read_bytes().decode(errors="replace")
    except OSError:  # it ended meanwhile, or is another person's
        return {}
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def _read_parent(place: Path) -> int | None:
    """Give the parent's number; None where the process is dead and only not yet collected."""
    try:
        state, parent = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(parent)
