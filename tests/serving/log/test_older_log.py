"""A spool and tables that an earlier version wrote are read, continued and deleted as new ones.

`older.tar.gz` is the state folder of the version before the fields of traces, experiments, tokens
and the first byte: three records in a spool and in no table yet, after five that are in the tables.
"""

import tarfile
from pathlib import Path

import pytest
from deltalake import DeltaTable

from serving.log.log_writer import LogShipper
from serving.log.records import Answer, decode_record
from serving.log.spool import Position, SpoolReader
from serving.log.worker_runs import list_runs, sum_counters
from sluice.adapters.traffic.log import (
    LATER_ANSWERS,
    LATER_SHADOWS,
    compact_hours,
    delete_hours,
    measure_hours,
    read_log,
    read_units,
)
from sluice.config.serving import TrafficLogConfig
from sluice.home import Home
from support.gateway.records import AT, begin_worker, make_answer, make_shadow

OLDER = Path(__file__).parent / "older.tar.gz"
CONFIG = TrafficLogConfig(batch_rows=1000, flush_seconds=10)
LATER = {
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "experiment": "words",
    "experiment_arm": "b",
    "input_tokens": 12,
    "output_tokens": 3,
    "cache_read_tokens": 8,
    "cache_write_tokens": 0,
    "first_byte_ms": 1.5,
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    with tarfile.open(OLDER) as archive:
        archive.extractall(tmp_path / "home", filter="data")
    return Home(tmp_path / "home")


def columns_of(uri: Path) -> list[str]:
    return [field.name for field in DeltaTable(str(uri)).schema().fields]


def ship(home: Home) -> int:
    return LogShipper(home, CONFIG).ship(AT + 200, all_of_it=True)


def ship_new(home: Home) -> int:
    worker = begin_worker(home.serving / "b", segment_bytes=1 << 14)
    tokens = {name: value for name, value in LATER.items() if name in LATER_SHADOWS}
    hits = ("input:iban:flag", "output:email:mask")
    worker.write([make_answer(4, hits=hits, **LATER), make_shadow(4, **tokens)])
    worker.die()
    return ship(home)


def test_records_of_an_older_spool_have_no_later_field(home: Home) -> None:
    (run,) = list_runs(home.serving / "a")
    records = [decode_record(item) for item in SpoolReader(run.folder, Position()).read()]
    answers = [item for item in records if isinstance(item, Answer)]
    assert [item.request_id for item in answers] == ["r1", "r2", "r3"]
    assert answers[2].stages == (0.05, 0.25)
    assert {getattr(item, name) for item in answers for name in LATER_ANSWERS} == {None}


def test_rest_of_an_older_spool_is_appended_to_older_tables(home: Home) -> None:
    assert ship(home) == 3
    found = read_log(home.answers("employment"), ["request_id", "reason", *LATER_ANSWERS])
    assert found is not None
    rows = {row["request_id"]: row for row in found.to_pylist()}
    assert sorted(rows) == ["r1", "r2", "r3"]
    assert rows["r2"]["reason"] == "timeout"
    assert {row[name] for row in rows.values() for name in LATER_ANSWERS} == {None}
    assert ship(home) == 0


def test_reader_of_an_older_table_gets_nulls(home: Home) -> None:
    uri = home.answers("employment")
    assert not set(LATER_ANSWERS) & set(columns_of(uri))
    found = read_log(uri, ["experiment", "request_id", "input_tokens"])
    assert found is not None
    assert found.column_names == ["experiment", "request_id", "input_tokens"]
    assert found.schema.field("input_tokens").type == LATER_ANSWERS["input_tokens"]
    assert found["experiment"].null_count == found.num_rows == 2


def test_older_tables_get_the_later_columns_without_a_rewrite(home: Home) -> None:
    uris = home.answers("employment"), home.shadows("employment")
    files = [set(DeltaTable(str(uri)).file_uris()) for uri in uris]
    assert ship_new(home) == 5
    assert [
        before <= set(DeltaTable(str(uri)).file_uris())
        for uri, before in zip(uris, files, strict=True)
    ]
    assert set(LATER_ANSWERS) <= set(columns_of(uris[0]))
    assert set(LATER_SHADOWS) <= set(columns_of(uris[1]))
    rows = {
        row["request_id"]: row for row in DeltaTable(str(uris[0])).to_pyarrow_table().to_pylist()
    }
    assert {name: rows["r4"][name] for name in LATER} == LATER
    assert rows["r4"]["hits"] == "input:iban:flag,output:email:mask"
    assert {rows[name]["experiment"] for name in ("r1", "r2", "r3")} == {None}
    (shadow,) = (
        row
        for row in DeltaTable(str(uris[1])).to_pyarrow_table().to_pylist()
        if row["request_id"] == "r4"
    )
    assert (shadow["input_tokens"], shadow["first_byte_ms"]) == (12, 1.5)


def test_later_tables_are_compacted_read_and_deleted(home: Home) -> None:
    ship_new(home)
    uri = home.answers("employment")
    compact_hours(uri, AT + 7 * 86_400)
    units = read_units(uri, 5)
    assert units is not None
    assert units.num_rows == 4
    assert DeltaTable(str(uri)).to_pyarrow_table()["experiment"].null_count == 3
    (hour,) = measure_hours(uri)
    delete_hours(uri, [hour])
    assert measure_hours(uri) == {}


def test_counters_of_an_older_run_go_on(home: Home) -> None:
    ship(home)
    counts = sum_counters(home.serving / "a").counts
    assert sum(item.requests for key, item in counts.items() if key.stage < 0) == 5
    assert sum(item.failures for key, item in counts.items() if key.stage < 0) == 1
