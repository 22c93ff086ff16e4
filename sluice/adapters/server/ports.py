"""Which process listens on a port, as far as Linux shows it (own processes only)."""

from pathlib import Path

LISTENING = "0A"
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def name_user(port: int) -> str:
    """Return the process that listens on a port, as `python3 (process 123)`; empty if unknown."""
    sockets = {f"socket:[{inode}]" for table in TABLES for inode in _find_inodes(table, port)}
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if sockets & _read_handles(process):
            return f"{_read_name(process)} (process {process.name})"
    return ""


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
