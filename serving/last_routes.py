"""The routes that were read last, on disk: a worker that starts while the store is away has them.

Only the champions count of them: a candidate is believed while its route is renewed, not before.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from sluice.adapters.whole_files import write_whole
from sluice.control.route import Route

FILE = "routes.json"


def keep_routes(replica: Path, routes: Iterable[Route]) -> None:
    """Write the routes; a disk that leaves no room keeps the older ones."""
    with suppress(OSError):
        write_whole({replica / FILE: msgspec.json.encode(list(routes)).decode()})


def read_routes(replica: Path) -> list[Route]:
    """Give the routes that were kept; none where there are none, or they are unreadable."""
    try:
        return msgspec.json.decode((replica / FILE).read_bytes(), type=list[Route])
    except (OSError, msgspec.MsgspecError, ValueError):
        return []
