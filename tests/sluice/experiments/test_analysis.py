"""The analysis: the split first, then metrics; what it recommends; guardrails; sequential looks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sluice.experiments.analysis import ExperimentAnalysis, analyse_units, check_running
from sluice.experiments.comparison import Look
from sluice.experiments.record import dump_facts, load_facts
from sluice.experiments.requests import build_units
from support.experiments.traffic import DAY, START, Draw, configure, draw_requests

END = START + 9 * DAY
FAILURES = {"name": "failures", "source": "failed", "shape": "ratio", "better": "lower"}
FAILED_USERS = {"name": "failed users", "source": "failed", "shape": "rate", "better": "lower"}
VALUE = {"name": "value", "source": "value", "shape": "mean", "better": "higher"}


def analyse(draw: Draw, seed: int = 1, as_of: float = END, **more: Any) -> ExperimentAnalysis:
    config = configure(**more)
    units = build_units(draw_requests(draw, config, seed), config, as_of)
    return analyse_units(units, config, Look(as_of, START, draw.users, 0.1))


def test_a_better_treatment_is_recommended() -> None:
    found = analyse(Draw(rate_b=0.3))
    assert found.recommended == "promote"
    assert found.primary is not None
    assert found.primary.finding == "better"
    assert found.primary.low is not None
    assert 0 < found.primary.low < 0.3 - 0.2 + 0.2


def test_a_worse_treatment_is_discarded_and_equal_arms_iterate() -> None:
    assert analyse(Draw(rate_b=0.1)).recommended == "discard"
    equal = analyse(Draw())
    assert equal.recommended == "iterate"
    assert "no difference" in equal.reason


def test_a_lower_metric_can_be_the_better_one() -> None:
    primary = {"name": "value", "source": "value", "shape": "mean", "better": "lower"}
    assert analyse(Draw(rate_b=0.1), primary=primary).recommended == "promote"


def test_a_broken_split_stops_the_analysis_before_any_metric() -> None:
    found = analyse(Draw(rate_b=0.4, lost_b=0.2))
    assert found.metrics == ()
    assert found.recommended == "iterate"
    assert "all units" in found.stopped
    assert "planned 50.0%" in found.stopped


def test_a_split_that_is_broken_in_one_segment_alone_stops_it_too() -> None:
    config = configure()
    requests = draw_requests(Draw(users=6000), config)
    days = np.array(requests.traits["day"])
    lost = (days[requests.unit] == "day 3") & (requests.arm == 1)
    rows = ~lost
    kept = replace(
        requests,
        unit=requests.unit[rows],
        arm=requests.arm[rows],
        at=requests.at[rows],
        feedback_at=requests.feedback_at[rows],
        figures={name: values[rows] for name, values in requests.figures.items()},
    )
    found = analyse_units(build_units(kept, config, END), config, Look(END, START, 6000, 0.05))
    assert "day=day 3" in found.stopped


def test_equal_arms_with_users_who_differ_are_not_called_different() -> None:
    primary = {"name": "praise", "source": "positive", "shape": "ratio", "better": "higher"}
    draws = Draw(users=600, spread=2.0, requests=8)
    found = [analyse(draws, seed, primary=primary) for seed in range(60)]
    wrong = np.mean([item.recommended != "iterate" for item in found])
    assert wrong <= 0.13  # .05 and three standard errors


def test_cuped_decides_and_both_are_shown() -> None:
    primary = {"name": "value", "source": "value", "shape": "mean", "better": "higher"}
    config = configure(primary=primary, cuped="7 d")
    requests = draw_requests(Draw(users=3000), config)
    units = build_units(requests, config, END)
    noise = np.random.default_rng(1).normal(0, 2, len(units.arm))
    known = replace(units, covariate=units.metrics["value"].sums + noise)
    found = analyse_units(known, config, Look(END, START, 3000, 1.0)).primary
    assert found is not None
    assert found.plain is not None
    assert found.plain.variance_ratio < 0.2
    assert found.method == "welch, CUPED"
    assert found.high - found.low < 0.5 * (found.plain.high - found.plain.low)  # type: ignore[operator]


def test_secondary_metrics_are_corrected_and_segments_decide_nothing() -> None:
    found = analyse(Draw(rate_b=0.26), secondary=[VALUE], segments=["day"])
    second = found.metrics[1]
    assert second.role == "secondary"
    assert second.adjusted is not None
    assert second.p_value is not None
    assert second.adjusted >= second.p_value
    assert {item.segment for item in found.segments} >= {"day=day 1", "day=day 2"}


@pytest.mark.parametrize("metric", [FAILURES, FAILED_USERS])
def test_a_guardrail_that_is_broken_discards(metric: dict[str, Any]) -> None:
    guarded = [{**metric, "margin": 0.02}]
    found = analyse(Draw(users=4000, rate_b=0.3, failed_b=0.15), guardrails=guarded)
    assert found.recommended == "discard"
    assert [item.name for item in found.harmed] == [metric["name"]]


@pytest.mark.parametrize("metric", [FAILURES, FAILED_USERS])
def test_a_guardrail_that_is_kept_lets_it_pass(metric: dict[str, Any]) -> None:
    guarded = [{**metric, "margin": 0.05}]
    found = analyse(Draw(users=4000, rate_b=0.3, failed_b=0.002), guardrails=guarded)
    assert found.recommended == "promote"
    assert found.metrics[-1].finding == "held"


def test_a_guardrail_without_evidence_is_not_judged_and_is_no_harm() -> None:
    found = analyse(Draw(users=60, rate_b=0.3), guardrails=[FAILURES])
    assert found.metrics[-1].finding == "not judged"
    assert "a look needs 100 in each arm" in found.metrics[-1].note


def test_a_guardrail_that_is_checked_each_day_harms_equal_arms_in_few_experiments() -> None:
    config = configure(guardrails=[{**FAILURES, "source": "positive"}])
    harmed = 0
    for seed in range(60):
        requests = draw_requests(Draw(users=800), config, seed)
        found = False
        for day in range(2, 9):
            as_of = START + day * DAY
            units = build_units(requests, config, as_of)
            _, rails = check_running(units, config, Look(as_of, START, 800, 0.1))
            found = found or any(item.finding == "harmed" for item in rails)
        harmed += found
    assert harmed <= 3


def test_while_it_runs_a_broken_split_hides_the_guardrails() -> None:
    config = configure(guardrails=[FAILURES])
    units = build_units(draw_requests(Draw(lost_b=0.3), config), config, END)
    ratios, rails = check_running(units, config, Look(END, START, 2000, 0.1))
    assert ratios[0].is_broken
    assert rails == ()


@pytest.mark.parametrize("primary", [None, VALUE])
def test_a_sequential_look_finds_a_large_effect_early(primary: dict[str, Any] | None) -> None:
    more = {"primary": primary} if primary else {}
    draw = Draw(users=6000, rate_b=0.35)
    found = analyse(draw, as_of=START + 5 * DAY, looks="sequential", **more)
    assert found.recommended == "promote"
    assert found.waiting > 0
    equal = analyse(Draw(users=6000), as_of=START + 5 * DAY, looks="sequential", **more)
    assert equal.recommended == "iterate"


def test_an_a_a_test_recommends_nothing_to_promote() -> None:
    found = analyse(Draw(rate_b=0.4), mode="aa")
    assert found.recommended == "iterate"
    assert "equal arms differ" in found.reason
    assert "equal arms do not differ" in analyse(Draw(), mode="aa").reason


def test_what_cannot_be_tested_is_not_judged_and_says_why() -> None:
    found = analyse(Draw(users=1, rate_b=0.3))
    assert found.primary is not None
    assert found.primary.finding == "not judged"
    assert found.recommended == "iterate"
    assert "at least one unit" in found.reason


def test_fewer_units_than_planned_are_said() -> None:
    config = configure()
    units = build_units(draw_requests(Draw(users=300), config), config, END)
    found = analyse_units(units, config, Look(END, START, 5000, 0.05))
    assert "of 5,000 planned units came" in found.reason


def test_an_analysis_survives_the_store() -> None:
    found = analyse(Draw(rate_b=0.3), secondary=[VALUE], guardrails=[FAILURES], segments=["day"])
    assert load_facts(ExperimentAnalysis, dump_facts(found)) == found


@pytest.mark.parametrize("shape", ["mean", "ratio"])
def test_a_guardrail_that_cannot_be_judged_is_listed_beside_what_is_recommended(shape: str) -> None:
    """One caller's absurd figure makes it unknown, not held."""
    config = configure(guardrails=[{**FAILURES, "shape": shape}])
    units = build_units(draw_requests(Draw(rate_b=0.3), config), config, END)
    values = units.metrics["failures"]
    absurd = np.where(np.arange(len(values.sums)) == 7, 1e200, values.sums)
    metrics = {**units.metrics, "failures": replace(values, sums=absurd)}
    found = analyse_units(
        replace(units, metrics=metrics), config, Look(END, START, len(absurd), 0.1)
    )
    assert found.recommended == "promote"
    assert "not proved to be held: failures" in found.reason
    assert "found 1e+200 in a unit" in found.metrics[-1].note
