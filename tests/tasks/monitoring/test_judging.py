"""Each rule on a planted cause in a real traffic log: raised once, resolved once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from serving.log.records import Feedback
from sluice.adapters.control.store import prepare_control
from sluice.config.loading import find_rules, load_service
from sluice.config.monitoring.rules import MonitoringConfig
from sluice.config.service import ServiceConfig
from sluice.errors import DataUnavailable
from sluice.home import Home
from sluice.monitoring.alerts import AlertChange, Silence
from sluice.monitoring.signals import Signal
from support.monitoring import MINUTE, NOON, SERVICE
from support.traffic import TrafficWriter
from tasks.monitoring.judging import close_others, follow_rule, judge_monitor, mark_monitored
from tasks.monitoring.monitor import Monitor
from tasks.monitoring.signals import LogState, Measurer, read_log_state

HOUR = timedelta(hours=1)


class Site:
    """A service with a traffic log and a control store, judged at chosen moments."""

    def __init__(self, home: Home) -> None:
        self.home, self.control = home, prepare_control(home)
        self.traffic = TrafficWriter(home)
        own = MonitoringConfig(sla_ms=100, capacity=2)
        config = load_service(SERVICE, "development")
        self.config: ServiceConfig = config.model_copy(update={"monitoring": own})
        self.changes: list[AlertChange] = []

    def judge(self, rule: str, now: datetime, lag: float = 0.0) -> list[str]:
        """Judge a rule as a monitor does at a time; return the kinds of the new changes."""
        complete = now - max(timedelta(seconds=lag), timedelta(0))
        measurer = Measurer(self.home, self.control, self.config, LogState(lag, "", complete), now)
        active = find_rules(self.config)[rule]
        silences = [
            item for item in self.control.alerts.list_silences(SERVICE) if item.rule == rule
        ]
        found = follow_rule(self.control, measurer, active, silences)
        self.changes += found
        return [change.kind.value for change in found]

    def explain(self, rule: str) -> str:
        return self.control.alerts.find(SERVICE, rule).reason


@pytest.fixture
def site(home: Home) -> Site:
    return Site(home)


def test_slow_answers_raise_latency_and_fast_ones_resolve_it(site: Site) -> None:
    site.traffic.answer(NOON - 10 * MINUTE, 600, latency_ms=20.0)
    assert site.judge("latency", NOON) == []
    site.traffic.answer(NOON, 900, latency_ms=250.0)
    assert site.judge("latency", NOON + 15 * MINUTE) == ["pending", "raised"]
    site.traffic.answer(NOON + 15 * MINUTE, 1200, latency_ms=20.0)
    assert site.judge("latency", NOON + 35 * MINUTE) == ["resolved"]
    raised = site.changes[1]
    assert raised.value == pytest.approx(250, rel=0.01)
    assert (raised.limit, raised.unit, raised.since) == (100, "ms", site.changes[0].at)


def test_much_traffic_raises_throughput_and_less_resolves_it(site: Site) -> None:
    busy = [site.traffic.make(NOON, second / 2) for second in range(1800)]
    site.traffic.answer(NOON - 10 * MINUTE, 600)
    assert site.judge("throughput", NOON) == []
    site.traffic.write(busy)
    assert site.judge("throughput", NOON + 15 * MINUTE) == ["pending", "raised"]
    site.traffic.answer(NOON + 15 * MINUTE, 1200)
    assert site.judge("throughput", NOON + 35 * MINUTE) == ["resolved"]


def test_failing_predictions_are_raised_and_resolved_when_they_end(site: Site) -> None:
    site.traffic.answer(NOON - 15 * MINUTE, 900)
    assert site.judge("failed-predictions", NOON) == []
    site.traffic.answer(NOON, 60, failed=True)
    site.traffic.answer(NOON + MINUTE, 240)
    assert site.judge("failed-predictions", NOON + 5 * MINUTE) == ["pending", "raised"]
    site.traffic.answer(NOON + 5 * MINUTE, 3000)
    assert site.judge("failed-predictions", NOON + 55 * MINUTE) == ["resolved"]


def test_an_input_that_the_data_rules_refuse_is_raised_and_named(site: Site) -> None:
    site.traffic.answer(NOON - 10 * MINUTE, 60)
    assert site.judge("refused-rows", NOON) == []
    site.traffic.answer(NOON, 3, inputs=b'[{"age": 40}, {"age": 140}, {"age": null}]')
    assert site.judge("refused-rows", NOON + 5 * MINUTE) == ["raised"]
    assert "age within [16, 100]: 3 rows" in site.changes[0].reason
    assert (site.changes[0].value, site.changes[0].n) == (6, 9)
    for minutes in (10, 80):
        site.traffic.answer(NOON + (minutes - 5) * MINUTE, 60)
        site.judge("refused-rows", NOON + minutes * MINUTE)
    assert [change.kind for change in site.changes] == ["raised", "resolved"]


def test_no_traffic_is_raised_after_traffic_and_resolved_by_more(site: Site) -> None:
    assert site.judge("no-traffic", NOON - HOUR) == []
    assert site.explain("no-traffic") == "requests: no request was ever logged"
    site.traffic.answer(NOON - 20 * MINUTE, 600)
    assert site.judge("no-traffic", NOON) == []
    assert site.judge("no-traffic", NOON + 30 * MINUTE) == ["raised"]
    site.traffic.answer(NOON + 31 * MINUTE, 5)
    assert site.judge("no-traffic", NOON + 35 * MINUTE) == ["resolved"]


def test_no_feedback_is_raised_while_requests_come(site: Site) -> None:
    site.traffic.label(NOON - 2 * HOUR)
    for hours in (-1, 30):
        site.traffic.answer(NOON + hours * HOUR, 200)
    assert site.judge("no-feedback", NOON) == []
    assert site.judge("no-feedback", NOON + 31 * HOUR) == ["raised"]
    site.traffic.label(NOON + 31 * HOUR + MINUTE)
    assert site.judge("no-feedback", NOON + 32 * HOUR) == ["resolved"]


@pytest.mark.parametrize(("request_id", "kinds"), [("r1", []), ("of another", ["raised"])])
def test_feedback_without_a_service_counts_for_that_of_its_answer(
    site: Site, request_id: str, kinds: list[str]
) -> None:
    site.traffic.label(NOON - HOUR / 2)
    for hours in (-1, 30):
        site.traffic.answer(NOON + hours * HOUR, 200)
    assert site.judge("no-feedback", NOON) == []
    at = (NOON + 30 * HOUR).timestamp()
    site.traffic.write([Feedback(request_id, at, "1", service="")])
    assert site.judge("no-feedback", NOON + 31 * HOUR) == kinds


def test_a_log_writer_that_lags_is_raised_and_other_rules_wait_for_it(site: Site) -> None:
    site.traffic.answer(NOON - 10 * MINUTE, 600)
    assert site.judge("no-traffic", NOON) == []
    assert site.judge("log-writer-lag", NOON + 30 * MINUTE, lag=1800) == ["raised"]
    assert site.judge("no-traffic", NOON + 30 * MINUTE, lag=1800) == []
    site.traffic.answer(NOON, 1800)
    assert site.judge("log-writer-lag", NOON + 31 * MINUTE) == ["resolved"]
    assert site.judge("no-traffic", NOON + 31 * MINUTE) == []


DRIFT = {"value": 0.4, "confirmed": True}
NO_DRIFT = {"value": 0.02, "confirmed": False}
FALL = {"value": 0.08, "bound": 0.06}
NO_FALL = {"value": 0.01, "bound": -0.01}


@pytest.mark.parametrize(
    ("rule", "name", "bad", "good"),
    [
        ("performance-drop", "performance-drop", FALL, NO_FALL),
        ("feature-drift", "feature-psi", DRIFT, NO_DRIFT),
        ("output-drift", "output-psi", DRIFT, NO_DRIFT),
    ],
)
def test_a_recorded_signal_is_judged_once(
    site: Site, rule: str, name: str, bad: dict[str, Any], good: dict[str, Any]
) -> None:
    def record(at: datetime, facts: dict[str, Any]) -> None:
        signal = Signal(SERVICE, name, at - HOUR, at, n=5000, subject="age", **facts)
        site.control.signals.record([signal])

    assert site.judge(rule, NOON) == []
    record(NOON, bad)
    assert site.judge(rule, NOON + MINUTE) == ["raised"]
    assert site.judge(rule, NOON + 2 * MINUTE) == []
    record(NOON + HOUR, good)
    assert site.judge(rule, NOON + HOUR) == ["resolved"]
    assert site.changes[0].subjects == ("age",)


class Versions:
    """A service whose route moves, and signals about its versions."""

    def __init__(self, site: Site, name: str, bad: dict[str, Any]) -> None:
        self._site, self._name, self._bad = site, name, bad

    def promote(self, version: int) -> None:
        self._site.control.routes.follow_champion(SERVICE, version)

    def record(self, at: datetime, version: int) -> None:
        facts = {"n": 5000, "subject": "auc", "version": version, **self._bad}
        self._site.control.signals.record([Signal(SERVICE, self._name, at - HOUR, at, **facts)])


RECORDED = [
    ("performance-drop", "performance-drop", FALL),
    ("feature-drift", "feature-psi", DRIFT),
    ("output-drift", "output-psi", DRIFT),
]


@pytest.mark.parametrize(("rule", "name", "bad"), RECORDED)
def test_an_alert_ends_when_its_version_no_longer_serves(
    site: Site, rule: str, name: str, bad: dict[str, Any]
) -> None:
    versions = Versions(site, name, bad)
    versions.promote(3)
    versions.record(NOON, 3)
    assert site.judge(rule, NOON + MINUTE) == ["raised"]
    versions.promote(4)
    assert site.judge(rule, NOON + 2 * MINUTE) == ["resolved"]
    words = "v3 no longer serves; v4 does, and has no figure of it yet"
    assert (site.changes[-1].reason, site.changes[-1].version) == (words, 3)
    alert = site.control.alerts.find(SERVICE, rule)
    assert (alert.phase, alert.outcome, alert.reason) == ("quiet", "not judged", words)
    assert site.judge(rule, NOON + 3 * MINUTE) == []
    versions.record(NOON + HOUR, 4)
    assert site.judge(rule, NOON + HOUR) == ["raised"]


@pytest.mark.parametrize(("rule", "name", "bad"), RECORDED)
def test_a_late_figure_of_a_version_that_no_longer_serves_raises_nothing(
    site: Site, rule: str, name: str, bad: dict[str, Any]
) -> None:
    versions = Versions(site, name, bad)
    versions.promote(4)
    versions.record(NOON, 3)
    assert site.judge(rule, NOON + MINUTE) == []
    assert site.control.alerts.list_changes(SERVICE) == []
    assert [item.version for item in site.control.signals.list_newest(SERVICE)] == []


def test_a_quiet_rule_forgets_the_figure_of_a_version_that_no_longer_serves(site: Site) -> None:
    versions = Versions(site, "performance-drop", NO_FALL)
    versions.promote(3)
    versions.record(NOON, 3)
    assert site.judge("performance-drop", NOON + MINUTE) == []
    versions.promote(4)
    assert site.judge("performance-drop", NOON + 2 * MINUTE) == []
    assert site.explain("performance-drop").startswith("v3 no longer serves")


def test_a_recorded_signal_that_comes_late_is_not_lost(site: Site) -> None:
    def record(at: datetime, value: float) -> None:
        signal = Signal(SERVICE, "output-psi", at - HOUR, at, value, 5000, confirmed=value > 0.2)
        site.control.signals.record([signal])

    record(NOON, 0.01)
    assert site.judge("output-drift", NOON) == []
    record(NOON - HOUR, 0.5)
    assert site.judge("output-drift", NOON) == ["raised"]


def test_a_monitor_that_did_not_run_is_raised_by_the_keeper_and_resolved_by_its_run(
    site: Site,
) -> None:
    active = find_rules(site.config)["monitor-silent"]

    def look(minutes: int) -> list[str]:
        at = NOON + minutes * MINUTE
        return [item.kind.value for item in judge_monitor(site.control, SERVICE, active, at)]

    assert look(0) == []
    assert look(10) == []
    assert look(20) == ["raised"]
    mark_monitored(site.control, SERVICE, NOON + 21 * MINUTE)
    assert look(22) == ["resolved"]


def test_a_monitor_that_was_down_for_a_day_finds_what_happened(site: Site) -> None:
    site.traffic.answer(NOON - 15 * MINUTE, 900)
    site.judge("failed-predictions", NOON)
    site.traffic.answer(NOON + HOUR, 600, failed=True)
    site.traffic.answer(NOON + HOUR + 10 * MINUTE, 3600)
    assert site.judge("failed-predictions", NOON + 24 * HOUR) == ["pending", "raised", "resolved"]
    raised, resolved = site.changes[1:]
    assert NOON + HOUR < raised.at < resolved.at < NOON + 3 * HOUR


def test_two_monitors_at_once_note_each_change_once(site: Site) -> None:
    site.traffic.answer(NOON - 15 * MINUTE, 900)
    site.traffic.answer(NOON, 300, failed=True)
    site.judge("failed-predictions", NOON)
    with ThreadPoolExecutor(4) as pool:
        judge: Callable[[int], list[str]] = lambda _: site.judge(  # noqa: E731
            "failed-predictions", NOON + 5 * MINUTE
        )
        found = [kind for kinds in pool.map(judge, range(4)) for kind in kinds]
    assert found == ["pending", "raised"]
    assert len(site.control.alerts.list_changes(SERVICE)) == 2


def test_a_silenced_rule_is_raised_when_the_silence_ends(site: Site) -> None:
    site.traffic.answer(NOON - 20 * MINUTE, 600)
    site.judge("no-traffic", NOON)
    silence = Silence(SERVICE, "no-traffic", "ada", "moving house", NOON, NOON + HOUR)
    site.control.alerts.silence(silence)
    assert site.judge("no-traffic", NOON + 30 * MINUTE) == ["silenced", "muted"]
    assert site.judge("no-traffic", NOON + 61 * MINUTE) == ["unsilenced", "raised"]


def silence(site: Site, rule: str, start: datetime, until: datetime) -> None:
    site.control.alerts.silence(Silence(SERVICE, rule, "ada", "moving house", start, until))


def test_a_silence_over_a_recorded_signal_ends_without_another_signal(site: Site) -> None:
    def record(at: datetime) -> None:
        signal = Signal(SERVICE, "output-psi", at - HOUR, at, 0.4, 5000, confirmed=True)
        site.control.signals.record([signal])

    record(NOON)
    silence(site, "output-drift", NOON + 5 * MINUTE, NOON + HOUR)
    assert site.judge("output-drift", NOON + 10 * MINUTE) == ["silenced", "muted"]
    assert site.judge("output-drift", NOON + 15 * MINUTE) == []
    assert site.judge("output-drift", NOON + 61 * MINUTE) == ["unsilenced", "raised"]
    assert site.judge("output-drift", NOON + 65 * MINUTE) == []
    record(NOON + 2 * HOUR)
    assert site.judge("output-drift", NOON + 2 * HOUR) == []


def test_a_silence_that_was_given_before_the_monitor_looked_counts(site: Site) -> None:
    site.traffic.answer(NOON - 20 * MINUTE, 60)
    silence(site, "no-traffic", NOON + MINUTE / 4, NOON + HOUR)
    assert site.judge("no-traffic", NOON + MINUTE / 2) == ["silenced", "muted"]


def test_a_rule_that_is_switched_off_ends_its_alert(site: Site) -> None:
    site.traffic.answer(NOON - 20 * MINUTE, 60)
    assert site.judge("no-traffic", NOON) == ["raised"]
    rules = find_rules(site.config)
    del rules["no-traffic"]
    changes = close_others(site.control, SERVICE, rules, NOON + 31 * MINUTE)
    assert [(item.kind, item.reason) for item in changes] == [
        ("resolved", "the rule is switched off")
    ]
    assert close_others(site.control, SERVICE, rules, NOON + 32 * MINUTE) == []


def test_a_rule_that_is_switched_on_again_does_not_judge_the_time_between(site: Site) -> None:
    site.traffic.answer(NOON - 20 * MINUTE, 1200)
    assert site.judge("no-traffic", NOON) == []
    signal = Signal(SERVICE, "output-psi", NOON - HOUR, NOON, 0.01, 5000, confirmed=False)
    site.control.signals.record([signal])
    assert site.judge("output-drift", NOON) == []
    assert close_others(site.control, SERVICE, {}, NOON + MINUTE) == []
    bad = [replace(signal, end=NOON + hours * HOUR, value=0.4, confirmed=True) for hours in (1, 2)]
    site.control.signals.record([*bad, replace(signal, end=NOON + 3 * HOUR)])
    site.traffic.answer(NOON + 3 * HOUR, 600)
    assert site.judge("no-traffic", NOON + 3 * HOUR + 5 * MINUTE) == []
    assert site.judge("output-drift", NOON + 3 * HOUR + 5 * MINUTE) == []


@pytest.mark.parametrize("rule", ["no-traffic", "log-writer-lag"])
def test_a_clock_that_was_ahead_does_not_stop_a_rule(site: Site, rule: str) -> None:
    site.traffic.answer(NOON - 20 * MINUTE, 1200)
    site.traffic.answer(NOON + 30 * HOUR, 60)
    site.judge(rule, NOON + 30 * HOUR + MINUTE)
    kinds = [site.judge(rule, NOON + minutes * MINUTE, lag=400.0) for minutes in (20, 40)]
    assert "raised" in kinds[0] + kinds[1]


def test_a_window_behind_a_clock_that_was_ahead_is_judged(site: Site) -> None:
    def record(at: datetime, value: float) -> None:
        signal = Signal(SERVICE, "output-psi", at - HOUR, at, value, 5000, confirmed=value > 0.2)
        site.control.signals.record([signal])

    record(NOON + 30 * HOUR, 0.4)
    assert site.judge("output-drift", NOON + 30 * HOUR) == ["raised"]
    record(NOON, 0.01)
    assert site.judge("output-drift", NOON) == ["resolved"]
    assert site.control.alerts.find(SERVICE, "output-drift").judged == NOON


def test_a_monitor_whose_clock_was_ahead_is_missed_all_the_same(site: Site) -> None:
    active = find_rules(site.config)["monitor-silent"]
    mark_monitored(site.control, SERVICE, NOON + 30 * HOUR)
    kinds = [
        [item.kind.value for item in judge_monitor(site.control, SERVICE, active, at)]
        for at in (NOON, NOON + 10 * MINUTE, NOON + 20 * MINUTE)
    ]
    assert kinds == [[], [], ["raised"]]
    mark_monitored(site.control, SERVICE, NOON + 21 * MINUTE)
    shown = [item for item in site.control.signals.list_newest(SERVICE)]
    assert [item.end for item in shown if item.name == "monitor-age"] == [NOON + 21 * MINUTE]


def test_a_fault_of_one_rule_stops_no_other_and_repeats_no_data(home: Home) -> None:
    run, done = Monitor(NOON), []
    for error in (OverflowError("41 years"), DataUnavailable("the table is away")):
        with disable_run_logger(), run.collect_errors("employment: latency"):
            done.append(error)
            raise error
    assert len(done) == 2
    assert run.problems == [
        "employment: latency: OverflowError, see the log of this run",
        "employment: latency: DataUnavailable: the table is away",
    ]


def test_the_log_is_complete_up_to_the_oldest_record_that_waits() -> None:
    replies = {"a": {"log_lag_seconds": 40.0}, "b": {"log_lag_seconds": 0.0}, "c": "no answer"}
    found = read_log_state(replies, NOON)
    assert (found.lag, found.problem) == (40, "c: no answer")
    assert found.complete == NOON - timedelta(seconds=40)


def test_what_a_silent_replica_may_still_write_is_waited_for() -> None:
    replies: dict[str, Any] = {"a": {"log_lag_seconds": 1.0}, "b": "no answer"}
    assert read_log_state(replies, NOON, 60).complete == NOON - timedelta(seconds=90)
    del replies["b"]
    assert read_log_state(replies, NOON, 60).complete == NOON - timedelta(seconds=30)


def test_traffic_of_every_replica_counts(site: Site) -> None:
    """One replica is silent to its callers; the other one's traffic is no silence."""
    site.traffic.answer(NOON - 20 * MINUTE, 600)
    assert site.judge("no-traffic", NOON) == []
    other = TrafficWriter(site.home, "second")
    other.answer(NOON + 25 * MINUTE, 60)
    assert site.judge("no-traffic", NOON + 30 * MINUTE) == ["raised", "resolved"]


def test_a_gateway_of_another_control_store_says_nothing() -> None:
    found = read_log_state({"a": {"log_lag_seconds": 900.0, "identity": "other"}}, NOON, 0, "ours")
    assert found.lag is None
    assert "a gateway of another control store" in found.problem


def test_without_a_gateway_the_lag_is_not_judged() -> None:
    found = read_log_state({"a": "no answer", "b": {}}, NOON, 10)
    assert found.lag is None
    assert found.problem == "a: no answer; b: does not say how far its log is"
    assert found.complete == NOON - timedelta(seconds=40)
