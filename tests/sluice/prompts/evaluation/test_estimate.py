"""The estimate of an evaluation: what is kept costs nothing, what is unknown stays unknown."""

import pytest

from sluice.prompts.evaluation.estimate import (
    EstimatedPart,
    EvaluationEstimate,
    ModelPace,
    PlannedCall,
)
from sluice.report.prompts.estimate import describe_estimate, list_parts

FRESH = PlannedCall(400, 50, 0.002)
KEPT = PlannedCall(400, 50, 0.002, True, used_input=100, used_output=10, seconds=2.0)


def estimate(*parts: EstimatedPart, spend: float = 5.0) -> EvaluationEstimate:
    return EvaluationEstimate("greet", 2, spend, parts)


def test_what_is_kept_costs_nothing() -> None:
    part = EstimatedPart("v2", "small", (FRESH, KEPT, FRESH))
    assert (part.kept, part.most_tokens, part.most_cost) == (1, 900, pytest.approx(0.004))
    assert EstimatedPart("v2", "small", (KEPT,)).most_cost == 0.0


def test_kept_replies_tell_tokens_and_time_of_their_model() -> None:
    new = EstimatedPart("v2", "small", (FRESH,) * 10, at_a_time=4)
    old = EstimatedPart("v1, which serves", "small", (KEPT, KEPT))
    pace = estimate(new, old).find_pace("small")
    assert pace == ModelPace(input_share=0.25, output=10.0, seconds=2.0)
    assert new.guess_tokens(pace) == 10 * (100 + 10)
    assert new.guess_seconds(pace) == 5.0
    assert old.guess_seconds(pace) == 0.0


def test_kept_replies_of_another_model_tell_nothing() -> None:
    new = EstimatedPart("v2", "small", (FRESH,) * 10)
    found = estimate(new, EstimatedPart("v1", "large", (KEPT,)))
    assert found.find_pace("small") is None
    assert new.guess_seconds(None) is None
    assert list_parts(found)[0]["time, about"] == "unknown"
    assert "no reply of small is kept" in describe_estimate(found)[-1]


@pytest.mark.parametrize("used", [{"used_input": None}, {"used_output": None}, {"seconds": None}])
def test_a_kept_reply_without_its_figures_tells_nothing(used: dict[str, None]) -> None:
    values = {"used_input": 100, "used_output": 10, "seconds": 2.0, **used}
    assert ModelPace.measure([PlannedCall(400, 50, 0.0, True, **values)]) is None


def test_an_unknown_price_is_never_nothing() -> None:
    found = estimate(EstimatedPart("v2", "odd", (FRESH, PlannedCall(400, 50, None))))
    assert found.most_cost is None
    assert list_parts(found)[0]["cost at most"] == "cost unknown"
    assert "cost at most cost unknown" not in " ".join(describe_estimate(found))


def test_a_budget_below_the_largest_cost_is_said_before() -> None:
    part = EstimatedPart("v2", "small", (FRESH,) * 10)
    assert not any("above the budget" in line for line in describe_estimate(estimate(part)))
    assert any("above the budget" in line for line in describe_estimate(estimate(part, spend=0.01)))


def test_a_part_on_a_condition_says_it() -> None:
    part = EstimatedPart("bias set", "small", (FRESH,), condition="asked only of a good version")
    assert "bias set: asked only of a good version" in describe_estimate(estimate(part))
