"""The cost gate: pass the good, stop the dear, halt where a price is not known."""

import numpy as np
import pytest

from sluice.config.prompts.limits import PromptLimits
from sluice.gates.prompts.cost import CostGate
from sluice.stats.prompts.cost import CaseCost, measure_cost
from sluice.verdict import Outcome, Verdict


def make_costs(times: float = 1.0, cases: int = 200, seed: int = 0) -> dict[str, CaseCost]:
    random = np.random.default_rng(seed)
    drawn = times * random.lognormal(-7.0, 0.6, cases)
    return {str(case): CaseCost(float(one), 100.0 * times) for case, one in enumerate(drawn)}


def judge(
    candidate: dict[str, CaseCost], active: dict[str, CaseCost] | None, limit: float | None = None
) -> Verdict:
    version = None if active is None else 3
    gate = CostGate(PromptLimits(case_cost=limit))
    return gate.judge(measure_cost(candidate, active, version))


def test_gate_passes_an_equal_cost() -> None:
    verdict = judge(make_costs(seed=1), make_costs())
    assert verdict.passed
    assert "times the US dollars of v3, limit 1.500, n 200 cases" in verdict.reason


def test_gate_stops_twice_the_cost() -> None:
    verdict = judge(make_costs(2.0), make_costs())
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("a case uses 2.000 [2.000, 2.000] times the US dollars of v3")
    assert "shorten the prompt" in verdict.next_step


def test_gate_halts_where_the_cases_do_not_decide() -> None:
    verdict = judge(make_costs(1.5, seed=1), make_costs())
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "add cases" in verdict.next_step


@pytest.mark.parametrize("side", ["candidate", "active"])
def test_an_unknown_price_halts(side: str) -> None:
    known, unknown = make_costs(), {**make_costs(), "3": CaseCost(None, 100.0)}
    verdict = judge(*((unknown, known) if side == "candidate" else (known, unknown)))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason == "the cost of 1 case is not known"
    assert "providers.yaml" in verdict.next_step
    assert judge(unknown, None).outcome is Outcome.INSUFFICIENT


def test_versions_that_cost_nothing_are_compared_by_tokens() -> None:
    free = {case: CaseCost(0.0, one.tokens) for case, one in make_costs().items()}
    more = {case: CaseCost(0.0, 300.0) for case in free}
    assert judge(free, free).passed
    assert judge(more, free).outcome is Outcome.FAIL
    assert "tokens of v3" in judge(more, free).reason


def test_any_cost_beside_a_free_version_fails() -> None:
    free = {case: CaseCost(0.0, 100.0) for case in make_costs()}
    verdict = judge(make_costs(), free)
    assert verdict.outcome is Outcome.FAIL
    assert "with v3 nothing" in verdict.reason


def test_first_version_is_listed() -> None:
    verdict = judge(make_costs(), None)
    assert verdict.passed
    assert "no active version to compare with" in verdict.reason


def test_few_or_no_shared_cases_halt() -> None:
    assert judge(make_costs(cases=49), make_costs()).outcome is Outcome.INSUFFICIENT
    other = {f"old {case}": one for case, one in make_costs().items()}
    assert judge(make_costs(), other).outcome is Outcome.INSUFFICIENT


@pytest.mark.parametrize("limit", [None, 0.01])
def test_without_any_cost_the_gate_halts(limit: float | None) -> None:
    verdict = judge({}, None, limit)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason == "no case has all its answers"
    assert judge({}, make_costs(), limit).outcome is Outcome.INSUFFICIENT


@pytest.mark.parametrize("active", [None, make_costs(seed=1)])
def test_a_limit_in_dollars_holds_with_and_without_an_active_version(
    active: dict[str, CaseCost] | None,
) -> None:
    costs = make_costs()
    mean = float(np.mean([item.dollars for item in costs.values()]))
    kept, broken = judge(costs, active, 1.3 * mean), judge(costs, active, 0.7 * mean)
    assert kept.passed, kept.message
    assert "US dollars, limit" in kept.reason
    assert broken.outcome is Outcome.FAIL
    assert broken.reason.startswith("a case costs .001 [.001, ")
    assert "raise `case_cost` with a reason" in broken.next_step
    near = judge(costs, active, mean)
    assert near.outcome is Outcome.INSUFFICIENT
    assert "add cases to the evaluation set (now 200)" in near.next_step


def test_the_bounds_of_the_mean_cost_hold_it_as_often_as_they_say() -> None:
    true_mean = float(np.exp(-7.0 + 0.6**2 / 2))
    found = [judge(make_costs(seed=seed), None, true_mean).outcome for seed in range(100)]
    assert found.count(Outcome.PASS) <= 12  # 5 are expected; costs are skewed
    assert found.count(Outcome.FAIL) <= 12


def test_an_unknown_or_rare_cost_never_keeps_a_limit_in_dollars() -> None:
    few = judge(make_costs(cases=49), None, 1.0)
    assert few.outcome is Outcome.INSUFFICIENT
    assert "49 cases, 50 needed for `case_cost`" in few.reason
    known = make_costs()
    odd = {**known, "new": CaseCost(None, 5.0)}
    assert judge(odd, known).passed, "the case that is new is not compared"
    found = judge(odd, known, 1.0)
    assert (found.outcome, found.reason) == (
        Outcome.INSUFFICIENT,
        "the cost of a case is not known",
    )
