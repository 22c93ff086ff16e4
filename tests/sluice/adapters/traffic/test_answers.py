"""Answers of a span of time are streamed from the traffic log, spread evenly where few suffice."""

import itertools
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sluice.adapters.traffic.answers import (
    BATCH,
    AnswerSpan,
    count_versions,
    find_oldest_hour,
    read_answers,
)
from sluice.home import Home
from support.labelled import START, after, answer, log_records


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of an hour and more: version 3 answers each second, version 4 each third one."""
    home = Home(tmp_path)
    records = [
        answer(at, seconds=4.0 * at, version=4 if at % 3 == 0 else 3, arm_version=3)
        for at in range(1_200)
    ]
    log_records(home, *records[:700])
    log_records(home, *records[700:])
    return home.answers("employment")


def ids_of(log: Path, start: float, end: float, version: int = 3, most: int = 0) -> list[str]:
    span = AnswerSpan(version, after(start), after(end))
    parts = list(read_answers(log, span, most))
    assert all(0 < part.num_rows <= BATCH for part in parts)
    return [one for part in parts for one in part["request_id"].to_pylist()]


def test_a_span_has_its_start_and_not_its_end(log: Path) -> None:
    assert sorted(ids_of(log, 4.0, 20.0)) == ["r1", "r2", "r4"]
    assert ids_of(log, 12.0, 12.1, version=4) == ["r3"]


def test_every_answer_comes_once_over_hours_and_files(log: Path) -> None:
    found = ids_of(log, 0.0, 4_800.0)
    assert len(found) == len(set(found)) == 800


def test_a_sample_is_spread_evenly_and_no_larger_than_asked(log: Path) -> None:
    found = ids_of(log, 0.0, 4_800.0, most=100)
    places = sorted(int(one[1:]) for one in found)
    assert 90 <= len(found) <= 100
    assert places[0] < 30
    assert places[-1] > 1_150
    assert max(two - one for one, two in itertools.pairwise(places)) < 40


def test_versions_are_counted(log: Path) -> None:
    assert count_versions(log, after(0.0), after(4_800.0)) == {3: 800, 4: 400}
    assert count_versions(log, after(5_000.0), after(6_000.0)) == {}


def test_the_oldest_hour_is_found(log: Path) -> None:
    assert find_oldest_hour(log) == f"{START:%Y-%m-%dT%H}"


def test_a_log_that_is_not_there_has_no_answers(tmp_path: Path) -> None:
    span = AnswerSpan(1, START, START + timedelta(hours=1))
    assert list(read_answers(tmp_path / "none", span)) == []
    assert count_versions(tmp_path / "none", datetime.min.replace(tzinfo=START.tzinfo), START) == {}
    assert find_oldest_hour(tmp_path / "none") == ""
