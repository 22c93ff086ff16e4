"""The identity of one version of a service's data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataVersion:
    """One version of a Delta table, and the hashes that pin what it holds.

    `schema_hash` and `content_hash` are hexadecimal sha256; the content hash does not depend on the
    order of rows or files.
    """

    uri: str
    version: int
    rows: int
    schema_hash: str
    content_hash: str
