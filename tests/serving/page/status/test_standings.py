"""Which services there are, in which order, and what needs attention in each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serving.page.status.advice import list_findings
from serving.page.status.cells import render_drift, render_performance
from serving.page.status.facts import (
    FeedbackStatus,
    ServiceStanding,
    Standings,
    Surroundings,
    TrafficStatus,
    combine,
    make_empty_row,
)
from sluice.control.drift import KINDS, DriftState, WindowOutcome
from sluice.control.health import AlertStatus, Health, PerformanceStatus
from sluice.control.release import FAILED, HALTED, REGISTERED, ReleaseRecord

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
ALERT = AlertStatus("town", "latency", "firing", "broken", "", AT, AT, None, 9.0, 5.0)
DRIFT = DriftState("town", "data", "training", 3, AT - timedelta(1), AT, WindowOutcome.ALARM, True)
DROPPED = PerformanceStatus("town", 3, 7, True, AT)


def stand(service: str = "town", **facts: Any) -> ServiceStanding:
    row = make_empty_row(service)
    named = {name: facts.pop(name) for name in ("warning", "next_step") if name in facts}
    return ServiceStanding(replace(row, **named), **facts)


def release(outcome: str) -> ReleaseRecord:
    return ReleaseRecord("town", "run", "0", "flow", 3, "by hand", AT, AT, outcome)


def list_marks(standing: ServiceStanding, problem: str = "") -> tuple[str, ...]:
    configured = Surroundings(configurations={"town": problem})
    (card,) = combine(Standings((standing,)), configured)
    return card.attention


@pytest.mark.parametrize(
    ("standing", "mark"),
    [
        (stand(warning="Conflict: x."), "warning"),
        (stand(health=Health(alerts=(ALERT,))), "1 alert"),
        (stand(health=Health(alerts=(ALERT, ALERT))), "2 alerts"),
        (stand(health=Health(performance=DROPPED)), "performance dropped"),
        (stand(health=Health(drift=(DRIFT,))), "drift"),
        (stand(next_step="approve it"), "rollout waits for a person"),
        (stand(waiting=(4,)), "approval waits"),
        (stand(release=release(HALTED)), "last release halted"),
        (stand(release=release(FAILED)), "last release failed"),
    ],
)
def test_each_finding_is_a_mark(standing: ServiceStanding, mark: str) -> None:
    assert list_marks(standing) == (mark,)


@pytest.mark.parametrize(
    "standing",
    [
        stand(),
        stand(release=release(REGISTERED)),
        stand(health=Health((), (), replace(DROPPED, dropped=False), ())),
        stand(health=Health(alerts=(replace(ALERT, phase="pending"),))),
        stand(health=Health(alerts=(replace(ALERT, silenced_until=AT),))),
        stand(health=Health(drift=(replace(DRIFT, is_open=False),))),
    ],
)
def test_nothing_else_is(standing: ServiceStanding) -> None:
    assert list_marks(standing) == ()


def test_a_broken_configuration_is_the_first_mark() -> None:
    marks = list_marks(stand(warning="x"), "configs/town.yaml: split: unknown key")
    assert marks == ("configuration is broken", "warning")


def test_services_that_need_attention_come_first_then_by_name() -> None:
    found = Standings((stand("b"), stand("c", warning="x"), stand("a")))
    cards = combine(found, Surroundings(configurations={"0-only-configured": ""}))
    names = [card.standing.row.service for card in cards]
    assert names == ["c", "0-only-configured", "a", "b"]
    assert [card.is_configured for card in cards] == [False, True, False, False]


def test_what_the_log_says_is_that_service_s_or_every_service_s() -> None:
    around = Surroundings(
        traffic={"a": TrafficStatus(requests=10, failures=1)},
        feedback={"": FeedbackStatus(problem="the disk is gone")},
    )
    one, other = combine(Standings((stand("a"), stand("b"))), around)
    assert (one.traffic.per_minute, other.traffic) == (2.0, TrafficStatus())
    assert one.feedback.problem == other.feedback.problem == "the disk is gone"


def test_a_drop_that_has_an_alert_is_advised_on_once() -> None:
    drop = replace(ALERT, rule="performance-drop")
    for alerts, names in (((ALERT,), ["latency", "performance dropped"]), ((drop,), [drop.rule])):
        standing = stand(health=Health(alerts=alerts, performance=DROPPED))
        (card,) = combine(Standings((standing,)), Surroundings())
        assert [one.name for one in list_findings(card, {})] == names


def test_each_kind_of_drift_has_advice_and_one_link_leads_to_the_report() -> None:
    states = tuple(replace(DRIFT, kind=kind) for kind in KINDS)
    (card,) = combine(Standings((stand(health=Health(drift=states)),)), Surroundings())
    found = list(list_findings(card, {}))
    assert [one.name for one in found] == [f"{kind} drift" for kind in KINDS]
    assert all(one.book for one in found)
    assert [one.more is not None for one in found] == [True, *[False] * (len(KINDS) - 1)]


def test_the_window_that_ends_a_drop_says_so() -> None:
    over = replace(DROPPED, dropped=False, recovered=True)
    for found, word in ((over, "recovered"), (replace(over, recovered=False), "holds")):
        (card,) = combine(Standings((stand(health=Health(performance=found)),)), Surroundings())
        assert word in render_performance(card)


@pytest.mark.parametrize(("kind", "marks"), [("data", ()), ("upstream", ("drift",))])
def test_drift_of_a_version_that_no_longer_serves_is_a_mark_only_where_inputs_are_broken(
    kind: str, marks: tuple[str, ...]
) -> None:
    standing = stand(health=Health(drift=(replace(DRIFT, kind=kind),)))
    serves = replace(standing, row=replace(standing.row, champion=4))
    assert list_marks(serves) == marks
    shown = render_drift(serves.health.drift, serves.open_drift)
    assert ("before it:" in shown) is not bool(marks)


def test_a_drop_of_a_version_that_no_longer_serves_is_no_mark() -> None:
    standing = stand(health=Health(performance=DROPPED))
    serves = {number: replace(standing.row, champion=number) for number in (3, 4)}
    assert list_marks(replace(standing, row=serves[3])) == ("performance dropped",)
    assert list_marks(replace(standing, row=serves[4])) == ()
    (card,) = combine(Standings((replace(standing, row=serves[4]),)), Surroundings())
    assert "not measured yet, before it:" in render_performance(card)
    assert list(list_findings(card, {})) == []
