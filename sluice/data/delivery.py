"""What a source holds that the service has not taken in yet."""

from dataclasses import dataclass
from typing import Literal

NEWEST = -1
SourceKind = Literal["files", "delta", "sql"]


@dataclass(frozen=True)
class Delivery:
    """One batch to be read: a file, the newest state of a Delta table, or a query's rows.

    `what` and `mark` are remembered once it was taken in, so that it is not taken again; an empty
    `what` is not remembered. `before` is the mark that stood when it was found.
    """

    kind: SourceKind
    source: str
    """Path, URI, or the variable that names the database."""
    what: str = ""
    mark: str = ""
    before: str = ""
    version: int = NEWEST

    @property
    def is_pull(self) -> bool:
        """Whether it is read from a living table, in which rows may have changed."""
        return self.kind != "files"

    @property
    def argument(self) -> str:
        """What `ingest` is told to take this and no other: a file; nothing for a pull."""
        return "" if self.is_pull else self.source
