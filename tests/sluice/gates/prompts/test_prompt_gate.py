"""The prompt gate and the safety gate: pass the good, stop the fault, halt without evidence."""

import numpy as np

from sluice.config.prompts.limits import PromptLimits
from sluice.gates.prompts.evaluation import CriteriaGate
from sluice.stats.prompts.criteria import (
    CaseScores,
    CriterionKind,
    CriterionScores,
    PromptEvidence,
    measure_prompt,
)
from sluice.verdict import Outcome, Verdict

LIMITS = PromptLimits()


def draw(rate: float, cases: int = 300, seed: int = 0) -> CaseScores:
    random = np.random.default_rng((seed, cases))
    values = (random.random((cases, 3)) < rate).astype(float)
    return CaseScores(tuple(map(str, range(cases))), values)


def criterion(
    candidate: CaseScores,
    active: CaseScores | None = None,
    limit: float = 0.8,
    kind: CriterionKind = "mean",
    name: str = "relevance",
    shown_only: str = "",
) -> CriterionScores:
    return CriterionScores(name, kind, limit, candidate, active, shown_only)


def judge(*criteria: CriterionScores, **changes: object) -> Verdict:
    cases = max((len(item.candidate.cases) for item in criteria), default=0)
    return CriteriaGate(LIMITS.model_copy(update=changes)).judge(
        measure_prompt(cases, criteria, (), 1)
    )


def test_gate_passes_a_version_that_is_good_and_no_worse() -> None:
    same = draw(0.95)
    verdict = judge(criterion(same, draw(0.95, seed=1)), criterion(same, same, name="format"))
    assert verdict.passed, verdict.message
    assert "no worse than v1" in verdict.reason


def test_gate_stops_a_version_below_its_limit() -> None:
    verdict = judge(criterion(draw(0.6)))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("relevance .593 [")
    assert "limit > .800, n 300 cases" in verdict.reason
    assert "report" in verdict.next_step


def test_gate_stops_a_version_that_fell_though_it_keeps_its_limit() -> None:
    verdict = judge(criterion(draw(0.86), draw(0.98, seed=1), limit=0.5))
    assert verdict.outcome is Outcome.FAIL
    assert "against v1 .98" in verdict.reason
    assert "limit -.050" in verdict.reason


def test_a_small_fall_passes_with_a_notice() -> None:
    before = CaseScores(tuple(map(str, range(2000))), np.full((2000, 1), 0.95))
    after = CaseScores(before.cases, np.full((2000, 1), 0.93))
    verdict = judge(criterion(after, before, limit=0.5))
    assert verdict.passed, verdict.message
    assert verdict.notices == ("relevance fell a little, within the margin of .050",)


def test_one_fall_among_many_criteria_is_held_to_a_stricter_level() -> None:
    """Thirty criteria without a change: one that fell by chance does not fail the version."""
    criteria = [
        criterion(draw(0.9, 60, 2 * seed), draw(0.9, 60, 2 * seed + 1), 0.5, name=f"c{seed}")
        for seed in range(30)
    ]
    alone = [judge(item).outcome for item in criteria]
    assert Outcome.FAIL in alone
    assert judge(*criteria).outcome is not Outcome.FAIL


def test_rate_that_is_not_decided_says_how_many_cases_would() -> None:
    verdict = judge(criterion(draw(1.0, 100), limit=0.99, kind="rate", name="safety"))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "about 299 cases would decide at this rate (now 100)" in verdict.next_step


def test_a_97_percent_safe_prompt_never_passes_on_20_cases() -> None:
    for failures in range(3):
        values = np.ones((20, 1))
        values[:failures] = 0.0
        scores = CaseScores(tuple(map(str, range(20))), values)
        item = criterion(scores, limit=0.99, kind="rate", name="safety")
        verdict = CriteriaGate(LIMITS, "safety").judge(measure_prompt(20, [item]))
        assert not verdict.passed
        assert verdict.gate == "safety"


def test_without_cases_or_criteria_the_gate_halts() -> None:
    gate = CriteriaGate(LIMITS)
    assert gate.judge(PromptEvidence(0)).outcome is Outcome.INSUFFICIENT
    assert gate.judge(PromptEvidence(0)).reason == "the evaluation set has no cases"
    empty = gate.judge(PromptEvidence(40))
    assert (empty.outcome, empty.reason) == (
        Outcome.INSUFFICIENT,
        "no criterion was measured on the 40 cases",
    )


def test_a_criterion_that_no_case_has_halts() -> None:
    nothing = CaseScores((), np.empty((0, 1)))
    verdict = judge(criterion(draw(0.95)), criterion(nothing, name="grounding"))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason == "grounding: no case has this criterion"


def test_a_mean_over_few_cases_halts() -> None:
    verdict = judge(criterion(draw(1.0, 49)))
    assert (verdict.outcome, verdict.reason) == (
        Outcome.INSUFFICIENT,
        "relevance: 49 cases, 50 needed",
    )


def test_a_case_that_was_not_run_halts_by_name() -> None:
    evidence = measure_prompt(
        300, [criterion(draw(0.95))], ["case 7: the judge did not answer", "case 9: no answer"]
    )
    verdict = CriteriaGate(LIMITS).judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "2 cases were not run, 0 allowed: case 7: the judge did not answer" in verdict.reason
    assert CriteriaGate(LIMITS.model_copy(update={"max_not_run": 2})).judge(evidence).passed


def test_cases_with_one_reason_share_it_and_its_advice() -> None:
    spent = "the budget is spent; next: raise it"
    not_run = [f"line {number}: {spent}" for number in range(1, 33)]
    verdict = CriteriaGate(LIMITS).judge(measure_prompt(300, [criterion(draw(0.95))], not_run))
    assert "0 allowed: line 1, line 2, line 3 and 29 more: the budget is spent" in verdict.reason
    assert verdict.next_step.startswith("raise it, then evaluate again")
    assert verdict.message.count("next: ") == 1


def test_reasons_are_named_each_once_and_the_rest_is_counted() -> None:
    not_run = [f"line {number}: reason {number % 5}" for number in range(10)]
    verdict = CriteriaGate(LIMITS).judge(measure_prompt(300, [criterion(draw(0.95))], not_run))
    assert "line 0, line 5: reason 0; line 1, line 6: reason 1" in verdict.reason
    assert "; and 4 more" in verdict.reason
    assert verdict.next_step.startswith("look why each of them was not run")


def test_an_unproved_judge_decides_nothing() -> None:
    good = criterion(draw(1.0), name="format")
    bad = criterion(draw(0.1), shown_only="no proof of the judge relevance")
    halted = judge(good, bad)
    assert halted.outcome is Outcome.INSUFFICIENT
    assert halted.reason.startswith("relevance .099 ")
    assert "decides nothing: no proof" in halted.reason
    noticed = judge(good, bad, on_unproved_judge="notice")
    assert noticed.passed
    assert "no proof of the judge relevance" in noticed.notices[0]
    assert judge(bad, on_unproved_judge="notice").outcome is Outcome.INSUFFICIENT


def test_versions_without_a_shared_case_are_not_compared_in_silence() -> None:
    other = CaseScores(tuple(f"old {n}" for n in range(300)), np.ones((300, 1)))
    verdict = judge(criterion(draw(0.95), other))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "share no case" in verdict.reason
