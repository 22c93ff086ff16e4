"""The reference profile as a JSON document, and back; another format is refused."""

import json
from collections.abc import Mapping
from typing import Any

from sluice.documents import parse_json
from sluice.drift.bins import Bins, LevelBins, NumberBins
from sluice.drift.columns import WatchedColumn
from sluice.drift.counts import ColumnCounts, WindowCounts
from sluice.drift.profile import ReferenceColumn, ReferenceProfile
from sluice.errors import DataInvalid

FORMAT = 1
"""The format of the document."""
FILE = "reference_profile.json"
"""The document's name among the files of a version's registry run."""
NEXT = "next: build it anew with `sluice profile`"


def write_profile(profile: ReferenceProfile) -> str:
    """Return the document of a profile: JSON, the same text for the same profile."""
    values = {
        "format": FORMAT,
        "service": profile.service,
        "data_version": profile.data_version,
        "rows": profile.rows,
        "columns": [_write_column(one) for one in profile.columns.values()],
        "left_out": dict(profile.left_out),
        "importance": dict(profile.importance),
        "known": list(profile.known),
        "slices": list(profile.slices),
        "parts": {name: one.to_dict() for name, one in profile.parts.items()},
        "sections": dict(profile.sections),
    }
    return json.dumps(values, allow_nan=False, separators=(",", ":"), sort_keys=True) + "\n"


def read_profile(text: str | bytes, source: str = FILE) -> ReferenceProfile:
    """Return the profile of a document; `source` names it in the error.

    Raises:
        DataInvalid: it is not JSON, of another format, or its figures do not fit together.
    """
    try:
        found = parse_json(text)
        if not isinstance(found, dict):
            raise ValueError("found no mapping")
        if found.get("format") != FORMAT:
            raise DataInvalid(
                f"{source}: format: found {found.get('format', 'nothing')!r}, allowed: {FORMAT}; "
                f"{NEXT}"
            )
        return _read(found)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        words = f"{error!r}" if isinstance(error, LookupError) else str(error)
        raise DataInvalid(f"{source} is no reference profile: {words}; {NEXT}") from error


def _read(found: Mapping[str, Any]) -> ReferenceProfile:
    columns = {one["name"]: _read_column(one) for one in found["columns"]}
    bins = {name: one.bins for name, one in columns.items()}
    return ReferenceProfile(
        service=str(found["service"]),
        data_version=int(found["data_version"]),
        rows=int(found["rows"]),
        columns=columns,
        left_out=dict(found["left_out"]),
        importance={name: float(value) for name, value in found["importance"].items()},
        known=tuple(found["known"]),
        slices=tuple(found["slices"]),
        parts={name: WindowCounts.from_dict(one, bins) for name, one in found["parts"].items()},
        sections=dict(found["sections"]),
    )


def _write_column(one: ReferenceColumn) -> dict[str, Any]:
    kind = "numbers" if isinstance(one.bins, NumberBins) else "levels"
    return {
        **one.watched.to_dict(),
        "bins": {"kind": kind, **one.bins.to_dict()},
        "counts": one.counts.to_dict(),
        **({"vocabulary": sorted(one.vocabulary)} if one.vocabulary else {}),
    }


def _read_column(found: Mapping[str, Any]) -> ReferenceColumn:
    watched = WatchedColumn(
        name=str(found["name"]),
        source=str(found["source"]),
        form=found["form"],
        role=found["role"],
        origin=str(found["origin"]),
    )
    kind = found["bins"]["kind"]
    if kind not in ("numbers", "levels"):
        raise ValueError(f"{watched.name}: bins: found {kind!r}, allowed: numbers, levels")
    reading: type[NumberBins] | type[LevelBins] = NumberBins if kind == "numbers" else LevelBins
    bins: Bins = reading.from_dict(found["bins"])
    counts = ColumnCounts.from_dict(found["counts"], bins.cells)
    return ReferenceColumn(watched, bins, counts, frozenset(found.get("vocabulary", ())))
