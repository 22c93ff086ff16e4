"""A driver's cells are cast to the service's kinds exactly, or refused with row and column."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from sluice.data.schema import convert_cells
from sluice.errors import DataInvalid

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TAKEN: list[tuple[str, Any, Any]] = [
    ("integer", 3, 3),
    ("integer", Decimal("3.000"), 3),
    ("integer", 3.0, 3),
    ("number", Decimal("2.5"), 2.5),
    ("number", 2, 2.0),
    ("number", float("nan"), None),
    ("number", Decimal("NaN"), None),
    ("text", "a", "a"),
    ("text", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ("boolean", 1, True),
    ("boolean", False, False),
    ("timestamp", NOON, NOON),
    ("timestamp", NOON.replace(tzinfo=None), NOON),
    ("timestamp", datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))), NOON),
    ("timestamp", date(2024, 5, 1), datetime(2024, 5, 1, tzinfo=UTC)),
    ("timestamp", "2024-05-01 12:00:00", NOON),
]
REFUSED: list[tuple[str, Any]] = [
    ("integer", 2.5),
    ("integer", "3"),
    ("integer", True),
    ("integer", 2**63),
    ("integer", Decimal("Infinity")),
    ("number", "2.5"),
    ("number", float("inf")),
    ("number", 10**400),
    ("text", 3),
    ("text", b"a"),
    ("boolean", 2),
    ("boolean", "yes"),
    ("timestamp", 3),
    ("timestamp", "yesterday"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), TAKEN)
def test_a_cell_that_means_the_kind_is_taken(kind: str, value: Any, expected: Any) -> None:
    assert convert_cells([None, value], "col", kind, "DB").to_pylist() == [None, expected]


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_a_cell_of_another_meaning_is_named(kind: str, value: Any) -> None:
    with pytest.raises(DataInvalid) as caught:
        convert_cells([None, value], "col", kind, "DB", start=10)
    assert str(caught.value).startswith("DB: row 12: column 'col': found ")
    assert str(caught.value).endswith(f"({type(value).__name__}), allowed: {kind}")
