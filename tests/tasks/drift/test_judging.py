"""Labelled traffic is judged once, whoever looks, however often and however late."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from sluice.adapters.control.monitoring.performance import GRACE
from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.service import ServiceConfig
from sluice.drift.document import FILE
from sluice.drift.performance.reference import build_sections
from sluice.home import PROJECT, Home
from support.gateway.records import AT
from support.labelled import after, answer, feedback, log_records
from support.people import draw_people
from support.releases.services import make_quick
from support.releases.sources import events_of
from support.releases.verdicts import VERDICTS
from support.servers.images import use_home
from tasks.drift import performance
from tasks.drift.concept import judge_live
from tasks.drift.estimates import estimate_recent, judge_estimates
from tasks.drift.performance import (
    judge_performance,
    load_reference,
    read_recent,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

LATER = 1e6
Serve = Callable[..., ServiceConfig]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with use_home(tmp_path_factory.mktemp("judging")) as home:
        yield home


@pytest.fixture
def serve(home: Home, request: pytest.FixtureRequest) -> Serve:
    """Return a function that lets a version of a service of the test's own serve."""

    def start(profile: bool = True) -> ServiceConfig:
        name = request.node.name.split("[")[0].replace("_", "-")[5:40]
        quick = make_quick()
        config = quick.model_copy(
            update={
                "service": name,
                "performance": quick.performance.model_copy(update={"window": 200}),
            }
        )
        rows = pd.DataFrame({"age": [30.0, 40.0, 50.0]})
        model = DummyClassifier().fit(rows, [0, 1, 1])
        registry = open_registry(home)
        run = registry.start_run(name, "a release", {"sluice.service": name})
        if profile:
            sections = build_sections(config, *draw_people(2_000, 0))
            registry.log_json(run, FILE, {"format": 1, "sections": sections})
        registry.register_model(run, name, model, rows, model.predict(rows), VERDICTS)
        prepare_control(home).routes.follow_champion(name, 1)
        return config

    return start


def log_people(home: Home, service: str, start: int, n: int, flipped: float = 0.0) -> None:
    """Log answers of the version and their labels, one a second from a second on."""
    holdout, predictions = draw_people(n, start, flipped)
    assert predictions.scores is not None
    rows = list(zip(holdout.y.tolist(), predictions.scores.tolist(), strict=True))
    facts: dict[str, Any] = {"service": service, "version": 1, "arm_version": 1}
    answers = [
        answer(start + place, score, start + place, **facts)
        for place, (_, score) in enumerate(rows)
    ]
    labels = [
        feedback(start + place, y, start + place + 0.5, service=service)
        for place, (y, _) in enumerate(rows)
    ]
    log_records(home, *answers, *labels)


def look(config: ServiceConfig, seconds: float = LATER) -> performance.PerformanceReport:
    return judge_performance(config, after(seconds))


def list_events(api: str, service: str) -> list[tuple[str, int]]:
    return [
        (event["event"], event["payload"]["window"])
        for name in ("performance.dropped", "performance.recovered")
        for event in events_of(api, service, name)
    ]


def test_drop_and_recovery_are_told_once_each(api: str, home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 400)
    assert [verdict.alarm for verdict in look(config).verdicts] == [False, False]
    log_people(home, config.service, 400, 200, flipped=1.0)
    log_people(home, config.service, 600, 500)
    report = look(config)
    assert [verdict.alarm for verdict in report.verdicts] == [True, False, False]
    assert (report.state.windows, report.state.dropped, report.waiting) == (5, False, 100)
    assert look(config).verdicts == ()
    signals = prepare_control(home).signals.list_since(config.service, "performance-drop", 0)
    assert [item.confirmed for _, item in signals] == [False, False, True, False, False]
    assert list_events(api, config.service) == [
        ("performance.dropped", 3),
        ("performance.recovered", 5),
    ]


def test_looks_of_every_hour_find_what_one_look_after_a_day_finds(home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 1_000, flipped=0.3)
    found = [
        verdict for second in range(0, 1_400, 150) for verdict in look(config, second).verdicts
    ]
    prepared = prepare_control(home).performance.list_last(config.service, 1, 10)
    assert [window.verdict for window in reversed(prepared)] == [
        verdict.to_document() for verdict in found
    ]
    assert [verdict.n for verdict in found] == [200] * 5
    assert found[0].first == after(0.5)
    assert [one.first > other.last for one, other in zip(found[1:], found, strict=False)] == [
        True
    ] * 4


def test_two_monitors_at_once_judge_each_window_once(api: str, home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 1_000, flipped=1.0)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: look(config), range(2)))
    verdicts = [verdict for report in reports for verdict in report.verdicts]
    assert len(verdicts) == 5
    assert len({verdict.first for verdict in verdicts}) == 5
    assert [report.state.windows for report in reports] == [5, 5]
    assert list_events(api, config.service) == [("performance.dropped", 1)]


def test_change_of_a_killed_monitor_is_told_by_the_next_one(
    api: str, home: Home, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = serve()
    log_people(home, config.service, 0, 200, flipped=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(performance, "emit_changes", lambda *_: [])
        assert len(look(config).verdicts) == 1
    assert list_events(api, config.service) == []
    assert look(config).verdicts == ()
    assert list_events(api, config.service) == [("performance.dropped", 1)]


KILLED = """
import os, signal, sys
from support.labelled import after
from support.releases.services import make_quick
from tasks.drift import performance

quick = make_quick()
config = quick.model_copy(
    update={
        "service": sys.argv[1],
        "performance": quick.performance.model_copy(update={"window": 200}),
    }
)
performance.publish_event = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
performance.judge_performance(config, after(float(sys.argv[2])))
"""


@pytest.mark.faults
def test_change_is_told_by_the_next_monitor_after_kill_9(
    api: str, home: Home, serve: Serve
) -> None:
    config = serve()
    log_people(home, config.service, 0, 300, flipped=1.0)
    command = [sys.executable, "-c", KILLED, config.service, str(LATER)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "tests")}
    done = subprocess.run(command, env=environment, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert look(config).waiting == 100
    assert list_events(api, config.service) == []
    look(config, LATER + GRACE.total_seconds() + 1)
    look(config, LATER + 3 * GRACE.total_seconds())
    assert list_events(api, config.service) == [("performance.dropped", 1)]


def test_late_duplicate_and_reordered_labels_change_no_judged_window(
    home: Home, serve: Serve
) -> None:
    config = serve()
    log_people(home, config.service, 0, 250)
    [first] = look(config).verdicts
    service = config.service
    log_records(home, *(feedback(n, 0, 900 + n / 10, service=service) for n in range(250)))
    assert look(config).waiting == 50
    log_records(home, feedback("nobody", 1, 950, service=service))
    log_people(home, service, 1_000, 150)
    report = look(config)
    assert [verdict.n for verdict in report.verdicts] == [200]
    assert report.verdicts[0].first > first.last
    assert (report.unknown, report.named) == (1, ("nobody",))


def test_label_that_is_overtaken_by_its_window_is_counted(home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 450)
    assert look(config).overtaken == 0
    facts: dict[str, Any] = {"service": config.service, "version": 1}
    log_records(home, answer(7_000, 0.7, 300, **facts))
    log_records(home, feedback(7_000, 1, 310, service=config.service))
    report = look(config)
    assert (report.overtaken, report.verdicts, report.waiting) == (1, (), 50)


def test_labels_that_mean_no_class_are_counted(home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 210)
    facts: dict[str, Any] = {"service": config.service, "version": 1}
    log_records(home, answer(5_000, 0.7, 300, **facts))
    log_records(home, feedback(5_000, "yes", 301, service=config.service))
    report = look(config)
    assert report.skipped.counts == {"the label is a text, allowed: a whole number: 0, 1": 1}
    assert (len(report.verdicts), report.waiting) == (1, 10)


def test_label_that_is_too_young_waits(home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 200)
    assert look(config, 250).verdicts == ()
    assert len(look(config, 199.5 + 120).verdicts) == 1


def test_version_without_a_profile_is_not_judged(home: Home, serve: Serve) -> None:
    config = serve(profile=False)
    log_people(home, config.service, 0, 200)
    report = look(config)
    assert report.verdicts == ()
    assert report.note.startswith("v1 has no reference of its performance")


def test_service_without_a_version_is_not_judged(home: Home) -> None:
    config = make_quick().model_copy(update={"service": "nothing-yet"})
    assert look(config).note == "no version serves yet"


def test_recent_rows_are_the_newest(home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 300)
    record = open_registry(home).find_alias(config.service, "champion")
    assert record is not None
    reference = load_reference(record)
    assert reference is not None
    start, end = after(0), after(LATER)
    rows, _ = read_recent(config, reference, 1, start, end, most=100)
    assert rows.request_ids == tuple(f"r{number}" for number in range(200, 300))


def test_answers_without_labels_are_estimated(home: Home, serve: Serve) -> None:
    config = serve()
    log_people(home, config.service, 0, 600)
    record = open_registry(home).find_alias(config.service, "champion")
    assert record is not None
    reference = load_reference(record)
    assert reference is not None
    found, skipped = estimate_recent(config, reference, 1, after(0), after(600))
    assert (found.n, skipped.counts) == (600, {})
    assert found.primary is not None
    assert found.primary.dropped is False
    before, _ = estimate_recent(config, reference, 1, after(-60), after(0))
    assert before.n == 0
    half, _ = estimate_recent(config, reference, 1, after(0), after(300))
    assert half.n == 300


def test_both_judgements_read_the_reference_once(
    api: str, home: Home, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, read = serve(), list[str]()
    find_text = Registry.find_text

    def count(registry: Registry, run: str, path: str) -> str | None:
        read.append(path)
        return find_text(registry, run, path)

    monkeypatch.setattr(Registry, "find_text", count)
    judge_live.fn(config, after(LATER))
    assert read == [FILE]


def test_estimates_of_harder_inputs_drop_and_are_told_once(
    api: str, home: Home, serve: Serve
) -> None:
    config = serve()
    facts: dict[str, Any] = {"service": config.service, "version": 1, "arm_version": 1}
    _, given = draw_people(1_200, 1)
    assert given.scores is not None
    usual = given.scores.tolist()
    hour = 3_600 - AT % 3_600  # to the next whole hour
    for place in range(3):
        scores = usual[400 * place : 400 * (place + 1)]
        begin = hour + place * 3_600
        shown = [0.5 + (score - 0.5) / 4 for score in scores] if place == 2 else scores
        log_records(home, *(answer(n, one, begin + n, **facts) for n, one in enumerate(shown)))
    early = judge_estimates(config, after(hour + 3_600 + 600))
    assert early == []
    with ThreadPoolExecutor(2) as pool:
        looks = list(pool.map(lambda _: judge_estimates(config, after(LATER)), range(2)))
    [first] = [verdict for verdicts in looks for verdict in verdicts]
    assert (first.first, first.last) == (after(hour), after(hour + 2 * 3_600))
    assert (first.estimate.n, first.alarm) == (800, False)
    more = [answer(9_000 + n, 0.51, hour + 3 * 3_600 + n, **facts) for n in range(200)]
    log_records(home, *more)
    [second] = judge_estimates(config, after(LATER))
    assert (second.estimate.n, second.alarm) == (600, True)
    [event] = events_of(api, config.service, "performance.dropped")
    assert event["payload"]["estimated"] is True
    assert "cannot see" in event["payload"]["blindness"]
