"""Files and Delta tables in parts: every row is in one part, whatever their number."""

import pickle
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from sluice.adapters.tables.columns import Span, open_rows
from sluice.adapters.tables.row_parts import open_part, plan_rows
from sluice.drift.counts import WindowCounts
from sluice.errors import DataInvalid, DataMissing
from support.drift import draw_normal, make_profile

ROWS = 1_000
TABLE = pa.table(
    {
        "height": draw_normal(1, ROWS),
        "city": ["Bonn", "Lyon", None, "Turin"] * (ROWS // 4),
        "at": pa.array(range(ROWS)),
    }
)
PROFILE = make_profile({"height": draw_normal(2, 600), "city": ["Bonn", "Lyon"] * 300})


@pytest.fixture(params=["file", "folder", "delta"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / "rows"
    if request.param == "delta":
        for start in (0, 300):
            part = TABLE.slice(start, 300 if not start else None)
            write_deltalake(str(place), part, mode="append", partition_by=["city"])
    elif request.param == "folder":
        place.mkdir()
        for start in range(0, ROWS, 150):
            pq.write_table(TABLE.slice(start, 150), place / f"{start}.parquet", row_group_size=64)
    else:
        pq.write_table(TABLE, place, row_group_size=64)
    return place


@pytest.mark.parametrize(("most", "least"), [(1, 1), (3, 1), (64, 1), (64, 200), (64, 10_000)])
@pytest.mark.parametrize("span", [None, Span("at", 130, 700)])
def test_counts_of_all_parts_are_those_of_one_pass(
    source: Path, span: Span | None, most: int, least: int
) -> None:
    parts = plan_rows(source, span, most, least)
    assert 1 <= len(parts) <= most
    counted = [
        PROFILE.count_rows(open_part(pickle.loads(pickle.dumps(part))))  # noqa: S301 - as Dask does
        for part in parts
    ]
    merged = reduce(WindowCounts.merge, reversed(counted))
    assert merged.to_dict() == PROFILE.count_rows(open_rows(source, span)).to_dict()


def test_a_large_source_has_few_parts_and_a_small_one_has_one(source: Path) -> None:
    assert len(plan_rows(source)) == 1
    assert len(plan_rows(source, most=4, least=1)) == 4
    assert plan_rows(source, most=4, least=1) == plan_rows(source, most=4, least=1)


def test_a_file_without_rows_is_one_part_without_rows(tmp_path: Path) -> None:
    pq.write_table(TABLE.slice(0, 0), tmp_path / "none.parquet")
    (part,) = plan_rows(tmp_path / "none.parquet")
    assert PROFILE.count_rows(open_part(part)).rows == 0


def test_what_is_no_source_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="not found; allowed: a Parquet file, a folder of them"):
        plan_rows(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(DataInvalid, match=r"text\.parquet: not readable as Parquet"):
        plan_rows(tmp_path / "text.parquet")
