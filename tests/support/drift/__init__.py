"""Reference profiles of a few columns, for the tests of drift."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.drift.columns import Form, Watched, WatchedColumn
from sluice.drift.profile import Description, ReferenceProfile, build_profile


def make_profile(
    columns: Mapping[str, Any],
    forms: Mapping[str, Form] | None = None,
    slices: Sequence[str] = (),
    importance: Mapping[str, float] | None = None,
) -> ReferenceProfile:
    """Return the profile of some columns: texts are levels, all else numbers unless named."""
    table = make_table(columns)
    named = forms or {}
    watched = tuple(
        WatchedColumn(name, name, named.get(name, "level" if is_words(table, name) else "number"))
        for name in table.column_names
        if name not in slices
    )
    about = Description(
        "things",
        3,
        known=(*table.column_names, "id"),
        slices=tuple(slices),
        importance=importance or {},
    )
    return build_profile(about, Watched(watched, {}), {"feature": table})


def make_table(columns: Mapping[str, Any]) -> pa.Table:
    """Return a table of arrays or lists; NaN stays a number."""
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def is_words(table: pa.Table, name: str) -> bool:
    """Return whether a column is text or boolean."""
    kind = table.column(name).type
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind))


def draw_normal(seed: int, rows: int, shift: float = 0.0) -> np.ndarray:
    """Return normal numbers."""
    return np.random.default_rng(seed).normal(shift, 1.0, rows)
