"""Which process listens on a port, as far as Linux shows it (own processes only)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LISTENING = "0A"
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def name_user(port: int) -> str:
    """Return the process that listens on a port, as `python3 (process 123)`; empty if unknown."""
    for process in _find_listeners(_find_sockets(port)):
        return f"{_read_name(process)} (process {process.name})"
    return ""


def is_used_by(port: int, session: int) -> bool:
    """Whether a process of the session listens on the port; true where the system does not say."""
    if not any(table.exists() for table in TABLES):
        return True
    for process in list_listeners(port):
        with suppress(ProcessLookupError):
            if os.getsid(process) == session:
                return True
    return False


def list_listeners(port: int) -> list[int]:
    """Return the ids of this user's processes that listen on a port."""
    return [int(process.name) for process in _find_listeners(_find_sockets(port))]


def _find_sockets(port: int) -> set[str]:
    return {f"socket:[{inode}]" for table in TABLES for inode in _find_inodes(table, port)}


def _find_listeners(sockets: set[str]) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        if sockets & _read_handles(process):
            yield process


def _find_inodes(table: Path, port: int) -> list[str]:
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return []
    ours = f":{port:04X}"
    return [row[9] for row in rows if row[1].endswith(ours) and row[3] == LISTENING]


def _read_handles(process: Path) -> set[str]:
    found = set()
    try:
        for handle in (process / "fd").iterdir():
            found.add(str(handle.readlink()))
    except OSError:  # the process has ended, or belongs to another user
        pass
    return found


def _read_name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "a process"
