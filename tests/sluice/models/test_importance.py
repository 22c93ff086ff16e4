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


@pytest.mark.parametrize("kind", ["hist_gradient_boosting", "linear"])
def test_features_are_shuffled_as_scikit_learn_shuffles_raw_columns(case, model, kind) -> None:
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import roc_auc_score

    one = case("binary")
    pipeline = fit_model("binary", model(kind), one.data, one.frame, one.y)
    found = measure_importance(pipeline, one.frame, one.data, seed=3, rows=len(one.frame))
    sample = one.frame.sample(len(one.frame), random_state=3)
    place = pipeline.classes_.tolist().index(one.data.positive)
    raw = permutation_importance(
        pipeline,
        sample[list(one.data.features)],
        sample[one.data.target],
        scoring=lambda scored, X, y: roc_auc_score(
            y == one.data.positive, scored.predict_proba(X)[:, place]
        ),
        n_repeats=5,
        random_state=3,
    )
    expected = dict(zip(one.data.features, raw.importances_mean, strict=True))
    assert {item.feature: item.mean for item in found} == pytest.approx(expected, abs=1e-12)


def test_a_feature_that_becomes_several_numbers_has_one_importance(case, model) -> None:
    one = case("binary")
    data = one.data.model_copy(update={"encodings": {"ancestry": "target", "education": "text"}})
    pipeline = fit_model("binary", model("hist_gradient_boosting"), data, one.frame, one.y)
    found = measure_importance(pipeline, one.frame, data, seed=3, rows=300)
    assert sorted(item.feature for item in found) == sorted(data.features)
    assert found[0].feature == "age"
