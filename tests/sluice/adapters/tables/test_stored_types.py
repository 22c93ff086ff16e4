"""Every stored type of Parquet is read as its kind, by init and by ingest alike, or is refused."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from sluice.adapters.tables.files import read_batch, read_unknown
from sluice.config.data import DataConfig
from sluice.errors import DataInvalid

MAY = datetime(2024, 5, 1, tzinfo=UTC)
LONG = 12345678901234567890


def keep(tmp_path: Path, values: pa.Array) -> Path:
    table = pa.table({"key": list(range(len(values))), "x": values, "y": [0] * len(values)})
    parquet.write_table(table, tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([Decimal("1.25"), None]), "number", [1.25, None]),
        (pa.array([Decimal(7), Decimal(8)], pa.decimal128(20, 0)), "integer", [7, 8]),
        (pa.array([Decimal(LONG)] * 2, pa.decimal128(20, 0)), "text", [str(LONG)] * 2),
        (pa.array([LONG, 1], pa.uint64()), "text", [str(LONG), "1"]),
        (pa.array([5, 1], pa.uint64()), "integer", [5, 1]),
        (pa.array([1.5, None], pa.float16()), "number", [1.5, None]),
        (pa.array([time(1, 0, 0, 500_000), None], pa.time64("us")), "number", [3600.5, None]),
        (pa.array([time(0, 1), None], pa.time32("s")), "number", [60.0, None]),
        (pa.array([timedelta(minutes=2), None], pa.duration("ns")), "number", [120.0, None]),
        (pa.array(["a", None]).dictionary_encode(), "text", ["a", None]),
        (pa.array([1, None]).dictionary_encode(), "integer", [1, None]),
        (pa.array(["a", None], pa.large_string()), "text", ["a", None]),
        (pa.array([date(2024, 5, 1), None]), "timestamp", [MAY, None]),
        (pa.array([MAY, None], pa.timestamp("ns", tz="UTC")), "timestamp", [MAY, None]),
        (pa.array([MAY, None], pa.timestamp("s", tz="Asia/Tokyo")), "timestamp", [MAY, None]),
        (pa.array([datetime(2024, 5, 1)], pa.timestamp("ms")), "timestamp", [MAY]),
        (pa.array(["2024-05-01 00:00", None]), "timestamp", [MAY, None]),
        (pa.array(["2024-05-01"], pa.large_string()), "timestamp", [MAY]),
        (pa.array([None, None], pa.null()), "text", [None, None]),
        (pa.array(["1", "2"]), "text", ["1", "2"]),
        (pa.array(["NA", "DE"]), "text", ["NA", "DE"]),
    ],
)
def test_a_stored_type_has_its_kind(
    tmp_path: Path, values: pa.Array, kind: str, expected: list[Any]
) -> None:
    found = read_unknown(keep(tmp_path, values))
    kinds = {column.name: column.kind for column in found.columns}
    assert (kinds["x"], found.table["x"].to_pylist()) == (kind, expected)
    config = DataConfig.model_validate(
        {"id": "key", "target": "y", "columns": kinds, "features": ["x"], "suite": "none"}
    )
    assert read_batch(found.path, config).equals(found.table)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (pa.array([[1], [2]]), "list"),
        (pa.array([{"a": 1}]), "struct"),
        (pa.array([b"x"]), "binary"),
    ],
)
def test_nested_values_and_bytes_are_refused_by_name(
    tmp_path: Path, values: pa.Array, word: str
) -> None:
    with pytest.raises(DataInvalid, match=f"column 'x': found {word}.*leave it out of the file"):
        read_unknown(keep(tmp_path, values))


def test_an_index_with_a_name_stays(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"x": [1.5, 2.5]}, index=pd.Index(["a", "b"], name="order_id"))
    frame.to_parquet(tmp_path / "a.parquet")
    assert "order_id" in read_unknown(tmp_path / "a.parquet").table.column_names


@pytest.mark.parametrize("cells", [["$1,234.50", "$2"], ["1.5", "NA", "2"], ["1.5"] * 9 + ["tall"]])
def test_stored_text_that_holds_numbers_stays_text_and_is_told(
    tmp_path: Path, cells: list[str]
) -> None:
    found = read_unknown(keep(tmp_path, pa.array(cells)))
    assert found.columns[1].kind == "text"
    assert [note.loud for note in found.notes] == [True]
    assert f"{len(cells)} cells are text that holds numbers" in found.notes[0].text
