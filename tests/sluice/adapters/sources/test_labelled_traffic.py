"""Labelled traffic is read from a real log: matured labels, each request until it was taken."""

import tarfile
from pathlib import Path
from typing import Any

import pytest

from serving.log.log_writer import LogShipper
from serving.log.records import AssignedArm, Feedback, Record
from sluice.adapters.sources.traffic import find_labelled, read_training_rows
from sluice.adapters.traffic.provenance import append_provenance, read_provenance
from sluice.config.data import DataConfig, TrafficSource
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.config.serving import TrafficLogConfig
from sluice.home import Home
from support.gateway.records import AT, begin_worker, make_answer, make_shadow

OLDER = Path(__file__).parents[3] / "serving" / "log" / "older.tar.gz"
DAY = 86_400.0
NOW = AT + 7 * DAY + 50
"""The answers up to number 50 are old enough."""
SOURCE = TrafficSource(kind="traffic", maturity="7 d")  # type: ignore[arg-type]


@pytest.fixture
def config() -> ServiceConfig:
    columns = {"person": "integer", "age": "integer", "employed": "text"}
    data = DataConfig.model_validate(
        {
            "id": "person",
            "target": "employed",
            "columns": columns,
            "features": ["age"],
            "suite": "x",
        }
    )
    return load_service("employment", "development").model_copy(update={"data": data})


class Log:
    """A traffic log that is written as the gateway writes it."""

    def __init__(self, home: Home) -> None:
        self.home, self.runs = home, 0

    def write(self, *records: Record) -> None:
        self.runs += 1
        worker = begin_worker(self.home.serving / "a", str(self.runs), segment_bytes=1 << 16)
        worker.write(records)
        worker.die()
        LogShipper(self.home, TrafficLogConfig()).ship(AT, all_of_it=True)

    def answer(self, *numbers: int, **facts: Any) -> None:
        self.write(
            *(
                make_answer(number, inputs=b'{"person": %d, "age": 40}' % number, **facts)
                for number in numbers
            )
        )

    def label(self, number: int | str, label: str, at: float = DAY, service: str = "") -> None:
        request = number if isinstance(number, str) else f"r{number}"
        self.write(Feedback(request, AT + at, f'"{label}"', service=service))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(Home(tmp_path))


def labels_of(config: ServiceConfig, home: Home, now: float = NOW) -> dict[int, str]:
    table = read_training_rows(config, SOURCE, home, now).rows.table
    return dict(zip(table["person"].to_pylist(), table["employed"].to_pylist(), strict=True))


def mark_of(config: ServiceConfig, home: Home, fewest: int = 1, now: float = NOW) -> str:
    found = find_labelled(config, SOURCE, home, "", now, fewest)
    return found.mark if found else ""


def take(config: ServiceConfig, home: Home, now: float = NOW) -> int:
    """Take what is there, as a run does that comes to its end."""
    found = read_training_rows(config, SOURCE, home, now)
    return append_provenance(home.provenance("employment"), found.provenance)


def test_nothing_is_due_before_there_is_a_log_or_a_label(config: ServiceConfig, log: Log) -> None:
    assert mark_of(config, log.home) == ""
    log.answer(1)
    assert mark_of(config, log.home) == ""
    log.label("nobody", "yes")
    assert mark_of(config, log.home) == "", "nobody answered this request"


def test_label_counts_from_the_maturity_of_its_answer_on(config: ServiceConfig, log: Log) -> None:
    log.answer(49, 50, 51)
    for number in (49, 50, 51):
        log.label(number, "yes")
    assert labels_of(config, log.home) == {49: "yes", 50: "yes"}
    assert labels_of(config, log.home, NOW + 1) == {49: "yes", 50: "yes", 51: "yes"}


def test_last_label_before_maturity_counts_in_whatever_order_it_was_logged(
    config: ServiceConfig, log: Log
) -> None:
    log.label(1, "yes", at=3 * DAY)
    log.label(1, "no", at=2 * DAY)
    log.label(1, "no", at=2 * DAY)
    log.answer(1)
    assert labels_of(config, log.home) == {1: "yes"}


def test_labels_of_another_service_are_not_about_this_one(config: ServiceConfig, log: Log) -> None:
    log.answer(1, 2)
    log.label(1, "yes", service="arrivals")
    log.label(2, "no", service="employment")
    assert labels_of(config, log.home) == {2: "no"}


def test_request_that_was_taken_is_not_due_again(config: ServiceConfig, log: Log) -> None:
    log.answer(1, 2)
    log.label(1, "yes")
    assert take(config, log.home) == 1
    assert mark_of(config, log.home) == ""
    log.label(1, "yes", at=4 * DAY)
    assert mark_of(config, log.home) == "", "the same label once more"
    log.label(2, "no", at=30 * DAY)
    assert labels_of(config, log.home) == {2: "no"}, "a late label is taken with the next batch"
    assert take(config, log.home) == 1
    taken = read_provenance(log.home.provenance("employment"))["request_id"].to_pylist()
    assert sorted(taken) == ["r1", "r2"]


def test_request_that_was_taken_is_noted_once(config: ServiceConfig, log: Log) -> None:
    log.answer(1)
    log.label(1, "yes")
    found = read_training_rows(config, SOURCE, log.home, NOW).provenance
    uri = log.home.provenance("employment")
    assert (append_provenance(uri, found), append_provenance(uri, found)) == (1, 0)
    log.label(1, "no", at=4 * DAY)
    assert mark_of(config, log.home), "a label that changed is looked at again"


def test_request_that_was_answered_twice_stands_for_its_last_answer(
    config: ServiceConfig, log: Log
) -> None:
    log.answer(1)
    log.write(make_answer(1, at=AT + 20, inputs=b'{"person": 1, "age": 41}', version=4))
    log.label(1, "yes")
    found = read_training_rows(config, SOURCE, log.home, NOW)
    assert found.rows.table["age"].to_pylist() == [41]
    assert found.provenance["version"].to_pylist() == [4]


def test_watch_waits_for_enough_requests(config: ServiceConfig, log: Log) -> None:
    log.answer(1, 2, 3)
    log.label(1, "yes")
    log.label(2, "yes")
    assert mark_of(config, log.home, fewest=3) == ""
    first = mark_of(config, log.home, fewest=2)
    log.label(3, "yes")
    assert mark_of(config, log.home, fewest=3) == first, "2 to 3 requests have the same mark"
    log.answer(4)
    log.label(4, "yes")
    assert mark_of(config, log.home, fewest=3) != first


def test_candidates_and_shadows_are_marked(config: ServiceConfig, log: Log) -> None:
    log.answer(1, arm=AssignedArm.CANDIDATE, version=4, arm_version=4)
    log.answer(2, 3)
    log.write(make_shadow(2))
    for number in (1, 2, 3):
        log.label(number, "yes")
    found = read_training_rows(config, SOURCE, log.home, NOW).provenance
    assert found["exploration"].to_pylist() == ["candidate", "shadow", None]


def test_log_of_an_earlier_version_is_read(config: ServiceConfig, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with tarfile.open(OLDER) as archive:
        archive.extractall(home.root, filter="data")
    source = SOURCE.model_copy(update={"maturity": 0.0})
    data = config.data.model_copy(
        update={"id": "key", "columns": {"key": "text", "age": "integer", "employed": "text"}}
    )
    found = read_training_rows(
        config.model_copy(update={"data": data}),
        source.model_copy(update={"id": "request"}),
        home,
        NOW,
    )
    assert found.rows.table.to_pylist() == [{"key": "r1", "age": 40, "employed": "yes"}]
    assert found.provenance["experiment"].to_pylist() == [None]
