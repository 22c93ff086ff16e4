"""What a promotion gained is measured once, from a real traffic log, and kept in the timeline."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serving.log.records import Answer, Feedback
from serving.log.tables import Kind, Logged, build_rows
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.traffic.log import append_records
from sluice.config.loading import load_service
from sluice.config.monitoring.retraining import RetrainConfig
from sluice.config.service import ServiceConfig
from sluice.control.retraining import Retraining
from sluice.control.timeline import GAIN, RELEASE, TimelineEntry
from sluice.control.watermark import Watermark
from sluice.home import Home
from support.gateway.records import make_answer
from tasks.retraining.gain import (
    LONGEST_PAUSE,
    SUBJECT,
    find_gain,
    find_pause,
    record_gain,
)

SERVICE = "employment"
RUN = "0f0f0f0f-1111-2222-3333-444444444444"
CAUSE = "performance.dropped: accuracy .70 against .80"


@pytest.fixture
def control(home: Home) -> Iterator[Control]:
    """v2 serves in place of v1 since a moment ago."""
    control = prepare_control(home)
    for version in (1, 2):
        control.routes.follow_champion(SERVICE, version)
    return control


def configure() -> ServiceConfig:
    found = load_service(SERVICE, "development")
    return found.model_copy(update={"retrain": RetrainConfig(minimum_labels=100)})


def log(home: Home, version: int, at: float, right: int, count: int, source: str) -> None:
    """Log so many answers of a version from a time on, a microsecond apart, labelled at once."""
    answers: list[Answer] = []
    labels: list[Feedback] = []
    for place in range(count):
        request, moment = f"{source}-{place}", at + place / 1_000_000
        facts: dict[str, Any] = {"request_id": request, "unit": f"{source}-{place}", "at": moment}
        answers.append(make_answer(version=version, outputs=b'{"prediction": 1}', **facts))
        truth = "1" if place < right else "0"
        labels.append(Feedback(request, moment + 0.0001, label=truth, service=SERVICE))
    for uri, kind, records in (
        (home.answers(SERVICE), Kind.ANSWERS, answers),
        (home.feedback, Kind.FEEDBACK, labels),
    ):
        rows = [Logged(record, source, place) for place, record in enumerate(records, 1)]
        append_records(uri, build_rows(kind, rows), {source: len(rows)}, at)


def gains(control: Control) -> list[TimelineEntry]:
    return [item for item in control.timeline.list_entries(SERVICE) if item.action == GAIN]


def move_look(control: Control, by: timedelta) -> None:
    """Put the last look at the labels so long before or after now."""
    seen = control.watermarks.find(SERVICE, SUBJECT)
    assert control.watermarks.move(seen, seen.announce(seen.mark, datetime.now(UTC) + by))


def promoted_at(control: Control) -> datetime:
    return control.timeline.list_served(SERVICE)[-1].at


def test_a_gain_is_measured_once_with_the_cause_of_the_release(
    home: Home, control: Control
) -> None:
    at = promoted_at(control)
    lease = control.leases.acquire(SERVICE, "retraining", "one", 15)
    since = at - timedelta(seconds=60)
    started = control.retrainings.start(lease, Retraining(SERVICE, at, CAUSE, 1, since), [])
    control.retrainings.note_run(started, RUN)
    origin = f"Prefect, release run {RUN}"
    control.timeline.append(TimelineEntry(SERVICE, at, RELEASE, 2, reason=CAUSE, origin=origin))
    log(home, 1, at.timestamp() - 3600, 500, 500, "long-before")  # before the loss: left out
    log(home, 1, at.timestamp() - 30, 210, 300, "before")
    log(home, 2, at.timestamp() + 0.001, 320, 400, "after")
    said = record_gain(configure())
    assert said.startswith(
        "v2: live accuracy 0.8 (n 400) of v2, 0.7 (n 300) of v1 before: gain +0.1 [+0.03"
    )
    assert said.endswith(", better")
    (entry,) = gains(control)
    assert (entry.version, entry.reason, entry.origin) == (2, CAUSE, "the traffic log")
    assert record_gain(configure()) == ""
    assert len(gains(control)) == 1


def test_too_few_labels_are_looked_at_again_later(home: Home, control: Control) -> None:
    at = promoted_at(control)
    log(home, 2, at.timestamp() + 0.001, 50, 60, "few")
    assert record_gain(configure()) == ""
    log(home, 1, at.timestamp() - 30, 70, 200, "before")
    log(home, 2, at.timestamp() + 0.01, 70, 80, "more")
    move_look(control, timedelta(hours=1))
    assert record_gain(configure()) == "", "the next look is later"
    move_look(control, -LONGEST_PAUSE)
    assert "(n 140) of v2" in record_gain(configure())
    # Without a window of a loss, as many answers as the new version has are compared with.
    assert "(n 140) of v1" in gains(control)[0].message


@pytest.mark.parametrize(("hours", "accuracy"), [(0.0, "0.8"), (1e-6, "0.2")])
def test_the_label_counts_that_live_performance_counts(
    home: Home, control: Control, hours: float, accuracy: str
) -> None:
    at = promoted_at(control).timestamp()
    log(home, 2, at + 0.001, 80, 100, "after")
    corrections = [
        Feedback(f"after-{place}", at + 0.0015, label="0" if place < 80 else "1", service=SERVICE)
        for place in range(100)
    ]
    rows = [Logged(record, "later", place) for place, record in enumerate(corrections, 1)]
    append_records(home.feedback, build_rows(Kind.FEEDBACK, rows), {"later": len(rows)}, at)
    config = configure()
    performance = config.performance.model_copy(update={"maturity_hours": hours})
    record_gain(config.model_copy(update={"performance": performance}))
    assert f"live accuracy {accuracy} (n 100) of v2" in gains(control)[0].message


def test_labels_are_looked_at_again_after_a_tenth_of_the_time(home: Home, control: Control) -> None:
    at = promoted_at(control)
    assert find_pause(at, at + timedelta(seconds=50)) == timedelta(seconds=5)
    assert find_pause(at, at + timedelta(days=2)) == LONGEST_PAUSE
    assert record_gain(configure()) == ""
    log(home, 1, at.timestamp() - 30, 70, 200, "before")
    log(home, 2, at.timestamp() + 0.001, 120, 140, "after")
    while not (said := record_gain(configure())):  # a tenth of a second or so
        assert datetime.now(UTC) < at + timedelta(minutes=2)
    assert "(n 140) of v2" in said


def test_the_local_stack_finds_a_gain_that_can_be_measured(home: Home, control: Control) -> None:
    at = promoted_at(control)
    assert find_gain(configure()) == ""
    seen = control.watermarks.find(SERVICE, SUBJECT)
    assert seen.announced is not None, "the look is noted"
    log(home, 1, at.timestamp() - 30, 70, 200, "before")
    log(home, 2, at.timestamp() + 0.001, 120, 140, "after")
    move_look(control, -LONGEST_PAUSE)
    assert find_gain(configure()) == "the gain of v2 can be measured"
    assert find_gain(configure()), "it is measured by `watch`, not by the look"
    assert "(n 140) of v2" in record_gain(configure())
    assert find_gain(configure()) == ""


def test_a_gain_without_labels_before_is_not_judged(home: Home, control: Control) -> None:
    log(home, 2, promoted_at(control).timestamp() + 0.001, 90, 120, "after")
    assert "not judged: 0 labelled answers before the promotion" in record_gain(configure())


def test_a_first_champion_and_a_persons_rollback_gain_nothing(home: Home) -> None:
    control = prepare_control(home)
    assert record_gain(configure()) == ""
    control.routes.follow_champion(SERVICE, 1)
    assert record_gain(configure()) == ""
    assert control.watermarks.find(SERVICE, SUBJECT) == Watermark(SERVICE, SUBJECT)
