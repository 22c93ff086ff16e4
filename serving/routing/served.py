"""The versions that a replica served last, kept on disk for a restart.

After a restart the wanted version may not be to be had: the one that served last is loaded then.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from serving.models.cache import ModelKey
from sluice.adapters.storage import write_whole

SERVED_FILE = "served.json"


def keep_served(replica: Path, served: Mapping[str, int]) -> None:
    """Write down the version of each service; a full disk keeps the older ones."""
    with suppress(OSError):
        write_whole({replica / SERVED_FILE: msgspec.json.encode(dict(served)).decode()})


def read_served(replica: Path) -> dict[str, int]:
    """Return the version of each service; none where there is no such file, or no readable one."""
    try:
        return msgspec.json.decode((replica / SERVED_FILE).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def list_served(serving: Path) -> set[ModelKey]:
    """Return what the replicas of a state folder served last."""
    folders = serving.iterdir() if serving.is_dir() else ()
    return {key for replica in folders for key in read_served(replica).items()}
