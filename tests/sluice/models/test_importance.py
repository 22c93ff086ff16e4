import pytest

from sluice.models.importance import find_problem, measure_importance
from sluice.models.training import fit_model

STRONGEST = {
    "binary": {"age"},
    "multiclass": {"proline", "flavanoids", "color_intensity", "alcohol"},
}
STRONGEST["regression"] = {"s5", "bmi"}
FIGURES = {"binary": "AUC", "multiclass": "accuracy", "regression": "R2"}


@pytest.mark.parametrize("problem", list(STRONGEST))
def test_the_strongest_feature_comes_first(case, model, problem) -> None:
    one = case(problem)
    pipeline = fit_model(problem, model("random_forest"), one.data, one.frame, one.y)
    found = measure_importance(pipeline, one.frame, one.data, seed=1, rows=150)
    assert found[0].feature in STRONGEST[problem]
    assert (found[0].figure, len(found)) == (FIGURES[problem], len(one.data.features))
    assert found[0].mean > 0.01
    assert found[0].n <= 150
    assert find_problem(pipeline) == problem


def test_the_same_seed_measures_the_same(case, model) -> None:
    one = case("binary")
    pipeline = fit_model("binary", model("linear"), one.data, one.frame, one.y)
    twice = [measure_importance(pipeline, one.frame, one.data, seed=5, rows=200) for _ in range(2)]
    assert twice[0] == twice[1]


def test_one_class_has_no_importance(case, model) -> None:
    one = case("binary")
    pipeline = fit_model("binary", model("linear"), one.data, one.frame, one.y)
    assert measure_importance(pipeline, one.frame[one.y == 1], one.data, seed=5) == ()
    assert measure_importance(pipeline, one.frame.head(0), one.data, seed=5) == ()
