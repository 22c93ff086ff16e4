"""Rows of windows: counted once, kept, and counted again where what was kept is gone or damaged."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sluice.adapters.registry.versions import ModelVersionRef
from sluice.config.service import ServiceConfig
from sluice.drift.columns import PREDICTION, SCORE, Watched, WatchedColumn
from sluice.drift.live.schedule import Window
from sluice.drift.profile import Description, build_profile
from sluice.home import Home
from support.labelled import START, after, answer, feedback, log_records
from support.releases.services import make_quick
from tasks.drift.references import Reference
from tasks.drift.windows import LiveRows

ROWS = 600
HOUR = timedelta(hours=1)
BEGIN = START.replace(minute=0, second=0) + HOUR
WINDOW = Window(BEGIN, BEGIN + HOUR)
LATER = BEGIN + 48 * HOUR


def make_reference(config: ServiceConfig) -> Reference:
    random = np.random.default_rng(0)
    people = pa.table(
        {
            "age": random.integers(18, 80, ROWS),
            "sex": random.choice(["female", "male"], ROWS).tolist(),
            "employed": random.integers(0, 2, ROWS),
        }
    )
    outputs = pa.table({PREDICTION: random.integers(0, 2, ROWS), SCORE: random.random(ROWS)})
    watched = (
        WatchedColumn("age", "age", "number"),
        WatchedColumn("sex", "sex", "level"),
        WatchedColumn(PREDICTION, PREDICTION, "level", "prediction"),
        WatchedColumn(SCORE, SCORE, "number", "prediction"),
        WatchedColumn("employed", "employed", "level", "label"),
    )
    about = Description("employment", 1, tuple(config.data.columns))
    tables: dict[Any, Any] = {"feature": people, "label": people, "prediction": outputs}
    record = ModelVersionRef("employment", 3, "run", {}, "models:/employment/3")
    return Reference(record, build_profile(about, Watched(watched, {}), tables), config)


CONFIG = make_quick()
REFERENCE = make_reference(CONFIG)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    return Home(tmp_path)


def log_hour(home: Home, hour: int, n: int = 50, **facts: Any) -> None:
    begin = (BEGIN - START).total_seconds() + 3600.0 * hour
    log_records(
        home,
        *(
            answer(
                1000 * hour + at,
                at / n,
                begin + at,
                inputs={"age": 20 + at, "sex": "male"},
                **facts,
            )
            for at in range(n)
        ),
    )


def count(window: Window = WINDOW, now: Any = LATER) -> Any:
    return LiveRows(CONFIG, REFERENCE, now).count(window)


def kept(home: Home) -> list[Path]:
    return sorted(home.drift("employment").rglob("*.json"))


def test_a_window_has_the_answers_of_its_version(home: Home) -> None:
    log_hour(home, 0)
    log_hour(home, 1)
    log_hour(home, 0, n=5, version=4)
    found = count()
    assert (found.counts.rows, found.requests) == (50, 50)
    assert found.counts.columns[SCORE].filled == 50


def test_counts_of_a_window_are_kept_and_read_again(home: Home) -> None:
    log_hour(home, 0)
    first = count()
    assert len(kept(home)) == 1
    shutil.rmtree(home.answers("employment"))
    again = count()
    assert again.counts.to_dict() == first.counts.to_dict()
    assert again.requests == first.requests


def test_a_window_whose_log_has_not_settled_is_not_kept(home: Home) -> None:
    log_hour(home, 0)
    assert count(now=WINDOW.end + timedelta(seconds=10)).requests == 50
    assert kept(home) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "counts": {}}'])
def test_damaged_counts_are_counted_again(home: Home, text: str) -> None:
    log_hour(home, 0)
    expected = count().counts.to_dict()
    (file,) = kept(home)
    file.write_text(text)
    assert count().counts.to_dict() == expected
    assert json.loads(file.read_text())["format"] == 1


def test_windows_merge_to_the_whole_span(home: Home) -> None:
    for hour in range(3):
        log_hour(home, hour)
    rows = LiveRows(CONFIG, REFERENCE, LATER)
    parts = [Window(BEGIN + at * HOUR, BEGIN + (at + 1) * HOUR) for at in range(3)]
    whole = rows.count(Window(BEGIN, BEGIN + 3 * HOUR)).counts
    assert rows.merge(parts).to_dict() == whole.to_dict()
    assert rows.merge([]).rows == 0


def test_counts_that_no_reference_has_any_more_are_removed(home: Home) -> None:
    log_hour(home, 0)
    count()
    year = timedelta(days=365)
    count(Window(WINDOW.start + year, WINDOW.end + year), LATER + year)
    assert len(kept(home)) == 1


def test_labels_count_where_they_arrive_and_unknown_ones_apart(home: Home) -> None:
    log_hour(home, 0)
    log_records(
        home,
        feedback(1, 1, (WINDOW.start - START).total_seconds() + 60.0),
        feedback(2, 0, (WINDOW.end - START).total_seconds() + 60.0),
        feedback("never seen", 1, (WINDOW.start - START).total_seconds() + 61.0),
    )
    found = count()
    assert found.counts.columns["employed"].filled == 1
    assert found.unknown_labels == 1


def test_a_sample_has_features_alone_and_names_each_request(home: Home) -> None:
    log_hour(home, 0)
    log_hour(home, 1)
    rows = LiveRows(CONFIG, REFERENCE, LATER)
    table, places = rows.sample([WINDOW, Window(WINDOW.end, WINDOW.end + HOUR)])
    assert table.column_names == ["age", "sex"]
    assert (table.num_rows, len(places), len(set(places))) == (100, 100, 100)


def test_no_traffic_is_no_rows(home: Home) -> None:
    assert count().counts.rows == 0
    table, places = LiveRows(CONFIG, REFERENCE, LATER).sample([WINDOW])
    assert (table.num_rows, places) == (0, ())
    assert after(0.0) == START
