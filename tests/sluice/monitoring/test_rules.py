"""What a rule concludes of signals: broken, holds, or not judged with the reason."""

from math import inf, nan

import pytest

from sluice.config.loading import load_rules
from sluice.config.monitoring.rules import MonitoringConfig, RuleChange
from sluice.errors import DataInvalid
from sluice.monitoring.rules import (
    RuleOutcome,
    describe_fall,
    describe_figure,
    judge_rule,
    list_active,
    write_figure,
)
from sluice.monitoring.signals import SIGNALS, Signal
from support.monitoring import NOON, make_rule, make_signal

TRADITIONAL = {
    "performance-drop": ("above", 0.05),
    "latency": ("above", "sla_ms"),
    "throughput": ("above", 0.80),
    "failed-predictions": ("above", 0.01),
    "refused-rows": ("above", 0.0),
    "feature-drift": ("above", 0.25),
    "output-drift": ("above", 0.20),
}
GENERATIVE = {
    "judge-score": ("below", 0.70),
    "grounding": ("below", 0.80),
    "guardrail-rate": ("above", 0.05),
    "tokens": ("above", 2.0),
    "spend-near": ("above", 0.80),
    "spend": ("above", 1.0),
    "thumbs-up": ("below", 0.80),
    "first-token": ("above", 2000.0),
    "response-time": ("above", 10_000.0),
    "evaluation-regressed": ("above", 0.0),
}
SHARED = {
    "failed-predictions",
    "feature-drift",
    "no-traffic",
    "no-feedback",
    "log-writer-lag",
    "monitor-silent",
}
SILENT = {"no-traffic", "no-feedback", "log-writer-lag", "monitor-silent"}


def test_the_shipped_rules_have_the_limits_of_the_design() -> None:
    rules = load_rules().rules
    assert set(rules) == {*TRADITIONAL, *GENERATIVE, *SILENT}
    for name, (side, limit) in {**TRADITIONAL, **GENERATIVE}.items():
        assert getattr(rules[name], side) == limit, name


def test_a_model_has_the_rules_of_models_and_a_prompt_those_of_prompts() -> None:
    book = load_rules()
    assert set(list_active(book, MonitoringConfig())) == {*TRADITIONAL, *SILENT}
    assert set(list_active(book, MonitoringConfig(), "prompts")) == {*GENERATIVE, *SHARED}


def test_the_limit_itself_breaks_no_rule() -> None:
    assert judge_rule(make_rule(), [make_signal(value=0.01)], NOON).outcome is RuleOutcome.HOLDS


@pytest.mark.parametrize(("value", "outcome"), [(0.011, "broken"), (0.0, "holds")])
def test_a_value_beyond_the_limit_breaks_it(value: float, outcome: str) -> None:
    found = judge_rule(make_rule(), [make_signal(value=value)], NOON)
    assert (found.outcome.value, found.value, found.limit) == (outcome, value, 0.01)


def test_a_lower_limit_is_broken_below_it() -> None:
    rule = make_rule(signal="requests", below=1)
    assert judge_rule(rule, [make_signal("requests", 0.0)], NOON).outcome is RuleOutcome.BROKEN
    found = judge_rule(rule, [make_signal("requests", 40.0, n=40)], NOON)
    assert found.reason == "40 requests, not below 1 request, n 40"


@pytest.mark.parametrize(
    ("keys", "signal", "reason"),
    [
        ({}, {"value": None, "reason": "no request"}, "failure-share: no request"),
        ({"minimum": 200}, {"value": 0.5, "n": 199}, "failure-share: n 199, needed 200"),
        (
            {"signal": "performance-drop", "by": "bound"},
            {"value": 0.5},
            "performance-drop: it came without a bound",
        ),
        (
            {"signal": "feature-psi", "confirmed": True},
            {"value": 0.5},
            "feature-psi: it came without a test",
        ),
    ],
)
def test_what_cannot_be_judged_says_why(
    keys: dict[str, object], signal: dict[str, object], reason: str
) -> None:
    found = judge_rule(make_rule(**keys), [make_signal(**signal)], NOON)
    assert (found.outcome, found.reason) == (RuleOutcome.UNKNOWN, reason)


def test_no_signal_at_all_is_not_judged() -> None:
    found = judge_rule(make_rule(), [], NOON)
    assert found.reason == "no figure of `failure-share` was given"


def test_the_bound_decides_where_the_rule_asks_for_it() -> None:
    rule = make_rule(signal="performance-drop", above=0.05, by="bound")
    noisy = make_signal("performance-drop", 0.08, bound=0.03, subject="auc")
    clear = make_signal("performance-drop", 0.08, bound=0.06, subject="f1")
    assert judge_rule(rule, [noisy], NOON).outcome is RuleOutcome.HOLDS
    found = judge_rule(rule, [noisy, clear], NOON)
    assert (found.outcome, found.subjects) == (RuleOutcome.BROKEN, ("f1",))
    assert (
        found.reason == "f1 fell by 8 %, beyond the limit of 5 % (at least 6 %, 95 % sure), n 1,000"
    )
    words = judge_rule(rule, [noisy], NOON).reason
    assert words == (
        "auc fell by 8 %, not proved beyond the limit of 5 % (at least 3 %, 95 % sure), n 1,000"
    )
    better = make_signal("performance-drop", -0.08, bound=-0.09, subject="auc")
    words = judge_rule(rule, [better], NOON).reason
    assert words == "auc rose by 8 %, within the limit of 5 %, n 1,000"


@pytest.mark.parametrize(
    ("metric", "drop", "baseline", "words"),
    [
        ("auc", 0.223, 0.841, "auc fell by 22.3 %, from .841 to .653"),
        ("auc", -0.02, 0.8, "auc rose by 2 %, from .800 to .816"),
        ("mae", 0.1, 20.0, "mae rose by 10 %, from 20.0 to 22.0"),
        ("mae", -0.1, 20.0, "mae fell by 10 %, from 20.0 to 18.0"),
        ("auc", 0.0, 0.8, "auc is unchanged at .800"),
        ("auc", 0.1, None, "auc fell by 10 %"),
    ],
)
def test_a_relative_change_says_what_it_is(
    metric: str, drop: float, baseline: float | None, words: str
) -> None:
    assert describe_fall(metric, drop, baseline) == words
    rule = make_rule(signal="performance-drop", above=0.05, by="bound")
    signal = make_signal("performance-drop", drop, bound=drop, subject=metric, baseline=baseline)
    assert judge_rule(rule, [signal], NOON).reason.startswith(f"{words}, ")


@pytest.mark.parametrize("name", SIGNALS)
def test_every_figure_is_told_with_what_it_is_of(name: str) -> None:
    told = describe_figure(make_signal(name, 0.5, subject="day"), SIGNALS[name].unit)
    plain = ("requests", "feedbacks")  # their unit says it
    assert name in plain or told not in ("0.5", "50 %", "day 0.5", "day: 0.5", "day: 50 %"), told
    assert "day" in told
    assert "  " not in told


def test_drift_that_its_own_test_does_not_confirm_breaks_no_rule() -> None:
    rule = make_rule(signal="feature-psi", above=0.25, confirmed=True)
    found = judge_rule(rule, [make_signal("feature-psi", 0.4, confirmed=False)], NOON)
    assert found.outcome is RuleOutcome.HOLDS
    assert "not confirmed by its test" in found.reason


def test_the_worst_subject_is_named_first() -> None:
    rule = make_rule(signal="feature-psi", above=0.25, confirmed=True)
    signals = [
        make_signal("feature-psi", value, subject=name, confirmed=True)
        for name, value in (("age", 0.3), ("sex", 0.1), ("race", 0.9), ("job", 0.4), ("pay", 0.5))
    ]
    found = judge_rule(rule, signals, NOON)
    assert found.subjects == ("race", "pay", "job", "age")
    assert found.reason == "PSI of race 0.9, above 0.25; also pay, job and 1 more, n 1,000"


def test_a_limit_that_the_service_lacks_is_named() -> None:
    rules = list_active(load_rules(), MonitoringConfig())
    assert judge_rule(rules["latency"], [], NOON).reason == "`monitoring.sla_ms` is not in its file"
    missing = judge_rule(rules["throughput"], [], NOON).reason
    assert missing == "`monitoring.capacity` is not in its file"


def test_a_service_changes_a_rule_for_a_reason() -> None:
    change = RuleChange.model_validate({"above": 0.02, "for": "9 min", "reason": "a noisy source"})
    config = MonitoringConfig(sla_ms=250, rules={"failed-predictions": change})
    rules = list_active(load_rules(), config)
    active = rules["failed-predictions"]
    assert (active.limit, active.rule.for_, active.changed) == (0.02, 540, "a noisy source")
    assert active.rule.window == 900
    assert rules["latency"].limit == 250


def test_a_service_switches_a_rule_off() -> None:
    change = RuleChange(enabled=False, reason="it rests at night")
    assert "no-traffic" not in list_active(
        load_rules(), MonitoringConfig(rules={"no-traffic": change})
    )


@pytest.mark.parametrize("figure", [nan, inf, -inf])
@pytest.mark.parametrize("key", ["value", "bound", "baseline"])
def test_a_figure_that_is_not_finite_is_refused(key: str, figure: float) -> None:
    signal = make_signal(**{"value": 0.1, key: figure})
    with pytest.raises(DataInvalid, match=f"{key}: found {figure}; allowed: a finite number"):
        signal.check()


def test_an_unknown_signal_is_refused_with_those_that_exist() -> None:
    with pytest.raises(DataInvalid, match="signal speed of employment: no such signal; allowed: r"):
        make_signal("speed").check()


def test_a_signal_without_value_needs_a_reason() -> None:
    with pytest.raises(DataInvalid, match="found no value and no reason"):
        make_signal(value=None).check()


def test_a_window_needs_a_zone() -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(DataInvalid, match="allowed: times with a zone"):
        Signal("employment", "requests", naive, naive, 1.0).check()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "share", "1.23 %"),
        (412.0, "ms", "412 ms"),
        (12345.0, "requests", "12,345 requests"),
        (1.0, "requests", "1 request"),
        (1.0, "ms", "1 ms"),
        (0.31, "PSI", "0.31"),
        (2.5, "", "2.5"),
    ],
)
def test_figures_have_their_unit(value: float, unit: str, text: str) -> None:
    assert write_figure(value, unit) == text


def test_every_signal_has_a_definition() -> None:
    assert all(len(kind.definition) > 20 for kind in SIGNALS.values())
