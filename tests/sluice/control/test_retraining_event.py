"""The cause that an event tells, whoever emits it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.control.retraining_event import MOST_LETTERS, read_cause, read_time, unpack_payload
from sluice.errors import CauseInvalid

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = "2026-03-01T10:00:00+00:00"
DROP: dict[str, Any] = {
    "metric": "accuracy",
    "baseline": 0.79,
    "value": 0.7125,
    "estimated": True,
    "version": 3,
    "window": {"start": START, "end": "2026-03-01T11:00:00+00:00"},
}


def test_a_loss_names_its_metric_and_figures() -> None:
    found = read_cause("work", "performance.dropped", DROP, AT)
    assert found.subject == "performance estimated"
    assert found.reason == "accuracy 0.713 against 0.79, estimated"
    assert (found.version, found.since, found.is_over) == (3, datetime.fromisoformat(START), False)


def test_a_recovery_closes_a_drop_that_another_figure_showed() -> None:
    dropped = read_cause("work", "performance.dropped", {**DROP, "metric": "log_loss"}, AT)
    recovered = read_cause("work", "performance.recovered", DROP, AT)
    assert (recovered.subject, recovered.is_over) == (dropped.subject, True)
    measured = read_cause("work", "performance.recovered", {**DROP, "estimated": False}, AT)
    assert measured.subject == "performance measured" != dropped.subject


def test_drift_names_its_kind_and_first_features() -> None:
    features = [{"feature": "age", "psi": 0.3}, "sex", {"column": "race"}, "education"]
    payload = {"kind": "data", "features": features, "model_version": "3"}
    found = read_cause("work", "drift.detected", payload, AT)
    assert (found.subject, found.reason) == ("drift data", "data (age, sex, race)")
    assert found.version == 3
    by_name = {"kind": "data", "features": {"age": {"psi": 0.3}}}
    assert read_cause("work", "drift.resolved", by_name, AT).is_over


def test_an_alert_names_its_rule() -> None:
    payload = {"rule": "psi", "value": 0.31, "limit": 0.25, "since": START}
    found = read_cause("work", "alert.raised", payload, AT)
    assert (found.subject, found.reason) == ("alert psi", "psi 0.31, limit 0.25")
    assert found.since == datetime.fromisoformat(START)


def test_an_alert_that_says_what_it_found_is_repeated_with_its_words() -> None:
    payload = {"rule": "performance-drop", "value": 0.223, "limit": 0.05, "version": 3}
    told = {**payload, "reason": "auc fell by 22.3 %, from .841 to .654, beyond the limit of 5 %"}
    found = read_cause("work", "alert.raised", told, AT)
    assert (
        found.reason
        == "performance-drop: auc fell by 22.3 %, from .841 to .654, beyond the limit of 5 %"
    )


def test_the_schedule_needs_no_payload() -> None:
    found = read_cause("work", "schedule", {}, AT)
    assert (found.kind, found.subject, found.reason) == ("schedule", "schedule", "")


def test_a_figure_that_is_no_number_is_left_out() -> None:
    payload = {**DROP, "value": float("nan"), "baseline": "high", "window": "today"}
    found = read_cause("work", "performance.dropped", payload, AT)
    assert (found.reason, found.since) == ("accuracy, estimated", None)


def test_a_long_reason_is_cut() -> None:
    found = read_cause("work", "performance.dropped", {**DROP, "metric": "m" * 9_000}, AT)
    assert len(found.reason) == MOST_LETTERS


@pytest.mark.parametrize(
    ("key", "found", "reason"),
    [
        ("value", 10**400, "psi, limit 0.25"),
        ("limit", -(10**400), "psi 0.31"),
        ("since", "0001-01-01T00:00:00+23:00", "psi 0.31, limit 0.25"),
        ("since", "9999-12-31T23:59:59-23:00", "psi 0.31, limit 0.25"),
        ("since", {"start": 1}, "psi 0.31, limit 0.25"),
    ],
)
def test_what_no_machine_can_hold_is_left_out(key: str, found: Any, reason: str) -> None:
    payload = {"rule": "psi", "value": 0.31, "limit": 0.25, key: found}
    cause = read_cause("work", "alert.raised", payload, AT)
    assert (cause.reason, cause.since) == (reason, None)


@pytest.mark.parametrize("rule", ["psi\x00", "\x1bpsi", "psi\ud800", "\npsi\r"])
def test_a_name_has_only_characters_that_can_be_shown_and_stored(rule: str) -> None:
    cause = read_cause("work", "alert.raised", {"rule": rule}, AT)
    assert (cause.subject, cause.reason) == ("alert psi", "psi")


@pytest.mark.parametrize(
    ("event", "payload", "message"),
    [
        (
            "drift.detected",
            {"kind": "data", "version": 10**30},
            "drift.detected: payload.version: found 1000000000000000000000000000000; allowed: a ",
        ),
        ("drift.detected", {"kind": "data", "version": "\u0663"}, "version: found '\u0663'"),
        ("alert.raised", {"rule": "\x00"}, "alert.raised: payload.rule: found '\\x00'; allowed: a"),
        (
            "performance.drop",
            DROP,
            "event: found 'performance.drop'; allowed: performance.dropped, drift.detected, ",
        ),
        ("performance.dropped", {}, "performance.dropped: payload.metric: found None; allowed: "),
        ("alert.raised", {"rule": " "}, "alert.raised: payload.rule: found ' '; allowed: a name"),
        ("drift.detected", {"kind": 3}, "drift.detected: payload.kind: found 3; allowed: a name"),
        (
            "drift.detected",
            {"kind": "data", "version": "latest"},
            "drift.detected: payload.version: found 'latest'; allowed: a model version, such as 3",
        ),
        ("drift.detected", {"kind": "data", "version": True}, "payload.version: found True"),
    ],
)
def test_what_says_too_little_is_refused(event: str, payload: dict[str, Any], message: str) -> None:
    with pytest.raises(CauseInvalid) as caught:
        read_cause("work", event, payload, AT)
    assert message in str(caught.value)


def test_a_payload_comes_as_it_is_or_as_text() -> None:
    assert unpack_payload(DROP) == DROP
    assert unpack_payload({"json": json.dumps(DROP)}) == DROP
    assert unpack_payload({"json": "{}", "rule": "psi"}) == {"json": "{}", "rule": "psi"}
    for text in ("{", "[1]", "1" * 5_000):
        with pytest.raises(CauseInvalid, match=r"payload\.json: .*; allowed: "):
            unpack_payload({"json": text})


def test_a_time_without_a_zone_is_utc_and_no_time_is_none() -> None:
    assert read_time("2026-03-01T10:00:00") == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert read_time("yesterday") is None
