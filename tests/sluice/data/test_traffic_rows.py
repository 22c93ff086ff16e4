"""Labelled requests become rows of the service's data once, or it is said why not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from sluice.config.data import DataConfig, TrafficSource
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.data.traffic.rows import (
    PROVENANCE,
    Became,
    TakenBefore,
    TrafficRows,
    build_traffic_rows,
)
from sluice.errors import DataInvalid

START = datetime(2026, 11, 1, tzinfo=UTC)
SOURCE = TrafficSource(kind="traffic", maturity="7 d")  # type: ignore[arg-type]
NOTHING = TakenBefore(None, frozenset())
COLUMNS: dict[str, Any] = {
    "id": "integer",
    "at": "timestamp",
    "x": "number",
    "c": "text",
    "y": "text",
}


def make_config(**columns: str) -> ServiceConfig:
    data = DataConfig(
        id="id", time="at", target="y", positive="yes",
        columns={**COLUMNS, **columns}, features=("x", "c"), suite="none",
    )  # fmt: skip
    return load_service("employment", "development").model_copy(
        update={"service": "small", "data": data}
    )


CONFIG = make_config()


def request(number: int, label: str = '"yes"', **facts: Any) -> dict[str, Any]:
    """Return a labelled request; facts replace its own or, if they are columns, its inputs."""
    inputs = {"id": number, "at": "2026-10-01T00:00:00Z", "x": 0.5, "c": "a"}
    inputs |= {name: facts.pop(name) for name in list(facts) if name in COLUMNS}
    row: dict[str, Any] = {
        "request_id": f"r{number}",
        "at": START + timedelta(seconds=number),
        "position": number,
        "version": 3,
        "arm": "champion",
        "arm_version": 3,
        "failed": False,
        "fallback": False,
        "experiment": None,
        "experiment_arm": None,
        "shadowed": False,
        "inputs": json.dumps({name: value for name, value in inputs.items() if value != "absent"}),
        "label": label,
        "labelled_at": START + timedelta(days=1),
    }
    return {**row, **facts}


def build(
    *requests: dict[str, Any],
    before: TakenBefore = NOTHING,
    config: ServiceConfig = CONFIG,
    source: TrafficSource = SOURCE,
) -> TrafficRows:
    moments = {name: pa.timestamp("us", tz="UTC") for name in ("at", "labelled_at")}
    columns = {}
    for name in request(0):
        kind = moments.get(name) or (pa.string() if name.startswith("experiment") else None)
        columns[name] = pa.array([item[name] for item in requests], kind)
    return build_traffic_rows(pa.table(columns), config, source, before)


def became_of(found: TrafficRows) -> dict[str, str]:
    return {row["request_id"]: row["became"] for row in found.provenance.to_pylist()}


def test_request_becomes_a_row_of_its_inputs_and_its_label() -> None:
    found = build(request(2), request(1, '"no"', x=2, c=None))
    assert found.rows.table.to_pylist() == [
        {"id": 1, "at": datetime(2026, 10, 1, tzinfo=UTC), "x": 2.0, "c": None, "y": "no"},
        {"id": 2, "at": datetime(2026, 10, 1, tzinfo=UTC), "x": 0.5, "c": "a", "y": "yes"},
    ]
    assert found.rows.refused == found.rows.notes == ()


def test_provenance_is_no_column_of_the_data() -> None:
    found = build(request(1), request(2, experiment="words", experiment_arm="b"))
    assert found.rows.table.column_names == list(CONFIG.data.columns)
    assert found.provenance.schema == PROVENANCE
    first, second = found.provenance.to_pylist()
    assert (first["request_id"], first["row_id"], first["version"]) == ("r1", "1", 3)
    assert (first["answered_at"], first["label"]) == (START + timedelta(seconds=1), '"yes"')
    assert (second["experiment"], second["experiment_arm"]) == ("words", "b")


@pytest.mark.parametrize(
    ("facts", "exploration"),
    [
        ({}, None),
        ({"arm": "candidate", "version": 4, "arm_version": 4}, "candidate"),
        ({"arm": "candidate", "arm_version": 4, "failed": True, "fallback": True}, None),
        ({"arm": "none", "version": 4}, "candidate"),
        ({"arm": "none"}, None),
        ({"shadowed": True}, "shadow"),
        ({"experiment": "e", "arm": "candidate", "shadowed": True}, "candidate,shadow,experiment"),
    ],
)
def test_what_else_saw_a_request_is_marked(facts: dict[str, Any], exploration: str | None) -> None:
    assert build(request(1, **facts)).provenance["exploration"].to_pylist() == [exploration]


def test_request_with_a_cell_that_does_not_fit_is_refused_alone() -> None:
    found = build(
        request(1),
        request(2, x="high"),
        request(3, c="absent"),
        request(4, id=None),
        request(5, "1"),
        request(6, at="yesterday"),
        request(7, id=2**70),
    )
    assert found.rows.table["id"].to_pylist() == [1]
    assert [cell.describe() for cell in found.rows.refused] == [
        "request r2: column 'x': found a text, allowed: number, or null",
        "request r3: column 'c': found nothing, allowed: text, or null",
        "request r4: column 'id': found null, allowed: an id",
        "request r5: column 'y': found a number, allowed: text, or null",
        "request r6: column 'at': found a text, allowed: timestamp, or null",
        "request r7: column 'id': found a number, allowed: an id",
    ]
    assert found.rows.refused_rows["x"].to_pylist()[0] == "high"
    assert found.rows.refused_rows.column_names == list(CONFIG.data.columns)
    assert set(became_of(found).values()) == {"row", "refused"}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (
            "id",
            r"column 'id' \(data.id\): .*; or take the request's own id: `id: request`",
        ),
        ("at", r"column 'at' \(data.time\): .*; or take the time of the answer: `time: answer`"),
        ("c", r"column 'c': the inputs of all 2 labelled requests lack it; .* beside the features"),
    ],
)
def test_column_that_all_requests_lack_is_named_with_the_ways_on(column: str, words: str) -> None:
    facts = {column: "absent"}
    with pytest.raises(DataInvalid, match=rf"traffic of small: {words}"):
        build(request(1, **facts), request(2, **facts))


def test_id_and_time_can_be_those_of_the_request() -> None:
    source = SOURCE.model_copy(update={"id": "request", "time": "answer"})
    found = build(
        request(1, id="absent", at="absent"), config=make_config(id="text"), source=source
    )
    assert found.rows.table["id"].to_pylist() == ["r1"]
    assert found.rows.table["at"].to_pylist() == [START + timedelta(seconds=1)]


def test_list_of_one_record_is_a_row_and_longer_ones_are_left_out() -> None:
    record = '{"id": 9, "at": null, "x": 1, "c": "b"}'
    found = build(request(1, inputs=f"[{record}]"), request(2, inputs=f"[{record}, {record}]"))
    assert found.rows.table["id"].to_pylist() == [9]
    assert became_of(found)["r2"] == Became.SEVERAL
    assert found.rows.notes[0].startswith(
        "1 labelled requests are left out: they ask about several"
    )


def test_request_without_an_answer_is_left_out() -> None:
    found = build(request(1), request(2, failed=True))
    assert became_of(found) == {"r1": "row", "r2": "no answer"}


@pytest.mark.parametrize(
    "facts",
    [
        {"inputs": ""},
        {"inputs": None},
        {"inputs": '{"id": 2, "x": '},
        {"inputs": "5"},
        {"inputs": "[5]"},
        {"inputs": f'{{"id": 2, "other": {"[" * 150}{"]" * 150}}}'},
        {"inputs": f'{{"id": 2, "other": {"1" * 5000}}}'},
        {"inputs": '{"id": 2, "at": "2026-10-01T00:00:00Z", "x": 1, "c": "\\ud800"}'},
        {"label": "{"},
        {"label": '"\\ud800"'},
    ],
    ids=str,
)
def test_request_that_cannot_be_read_takes_no_other_with_it(facts: dict[str, Any]) -> None:
    found = build(request(1), request(2, **facts))
    assert became_of(found) == {"r1": "row", "r2": "not readable"}
    (note,) = found.rows.notes
    assert note.startswith("1 labelled requests are left out: their inputs or their label are not")
    failed = build(request(1), request(2, failed=True, **facts))
    assert became_of(failed) == {"r1": "row", "r2": "no answer"}


def test_label_of_a_third_class_is_refused_alone() -> None:
    both = TakenBefore(build(request(8), request(9, '"no"')).rows.table, frozenset())
    found = build(request(1), request(2, '"maybe"'), request(3, "null"), before=both)
    assert became_of(found) == {"r1": "row", "r2": "refused", "r3": "refused"}
    assert found.rows.refused[0].describe() == (
        "request r2: column 'y': found a text, allowed: no or yes"
    )
    one = TakenBefore(build(request(8)).rows.table, frozenset())
    assert became_of(build(request(2, '"maybe"'), before=one)) == {"r2": "row"}
    several = CONFIG.model_copy(update={"problem": "multiclass"})
    assert became_of(build(request(2, '"maybe"'), before=both, config=several)) == {"r2": "row"}


def test_first_of_two_requests_with_one_id_is_the_row() -> None:
    found = build(request(1, id=7), request(2, id=7, x=9.0))
    assert found.rows.table["x"].to_pylist() == [0.5]
    assert became_of(found) == {"r1": "row", "r2": "repeated id"}


def test_id_that_the_table_has_with_other_values_is_left_out() -> None:
    table = build(request(1), request(2)).rows.table
    before = TakenBefore(table, frozenset({"r2"}))
    found = build(request(1), request(2, '"no"'), request(3, id=1, x=9.0), before=before)
    assert found.rows.table["id"].to_pylist() == [1], "known as it is: the ingest leaves it out"
    assert became_of(found) == {"r1": "row", "r2": "corrected too late", "r3": "repeated id"}
    assert "let source.maturity be longer" in found.rows.notes[1]


def test_nothing_to_read_is_an_error_only_before_there_is_a_table() -> None:
    with pytest.raises(DataInvalid, match=r"request r1: column 'x': found a text.*; so in all 1 "):
        build(request(1, x="high"))
    before = TakenBefore(build(request(2)).rows.table, frozenset())
    assert build(request(1, x="high"), before=before).rows.table.num_rows == 0


def test_no_request_is_no_row() -> None:
    found = build(before=TakenBefore(build(request(1)).rows.table, frozenset()))
    assert (found.rows.table.num_rows, found.provenance.num_rows) == (0, 0)
    assert found.rows.table.schema.names == list(CONFIG.data.columns)


def test_no_message_has_a_value_of_a_caller() -> None:
    found = build(request(1), request(2, x="4111 1111"), request(3, id=[1, 2]))
    shown = [cell.describe() for cell in found.rows.refused]
    assert len(shown) == 2
    assert not any("4111" in words or "[1" in words for words in shown)
