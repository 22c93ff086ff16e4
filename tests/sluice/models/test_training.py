import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from sluice.config.data import DataConfig
from sluice.config.loading import load_service
from sluice.errors import ConfigInvalid, DataInvalid, TrainingImpossible
from sluice.models.learner import find_rate_threshold
from sluice.models.prediction import predict
from sluice.models.training import find_threshold, fit_model

KINDS = ("linear", "random_forest", "hist_gradient_boosting")
PROBLEMS = ("binary", "multiclass", "regression")
PUBLISHED = {2016: (0.834, 0.781), 2017: (0.837, 0.786), 2018: (0.842, 0.790)}


@pytest.mark.parametrize(("kind", "problem"), [*itertools.product(KINDS, PROBLEMS)])
def test_every_kind_learns_every_problem(case, model, kind, problem) -> None:
    one = case(problem)
    half = np.arange(len(one.frame)) % 2 == 0
    pipeline = fit_model(problem, model(kind), one.data, one.frame[half], one.y[half])
    predicted = predict(pipeline, one.frame[~half], one.data, problem)
    if problem == "regression":
        errors = np.abs(predicted.labels - one.y[~half])
        assert errors.mean() < 0.9 * np.abs(one.y[~half] - one.y[half].mean()).mean()
    else:
        commonest = one.y[~half].value_counts(normalize=True).iloc[0]
        assert accuracy_score(one.y[~half].to_numpy(), predicted.labels) > commonest + 0.05


def test_the_default_service_reaches_its_published_figures(year) -> None:
    config = load_service("employment", "development")
    start = year(2015)
    pipeline = fit_model("binary", config.model, config.data, start, start["employed"])
    for later, (auc, accuracy) in PUBLISHED.items():
        rows = year(later)
        predicted = predict(pipeline, rows, config.data, "binary")
        assert roc_auc_score(rows["employed"], predicted.scores) == pytest.approx(auc, abs=0.004)
        assert accuracy_score(rows["employed"], predicted.labels) == pytest.approx(
            accuracy, abs=0.004
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_and_seed_result_in_the_same_predictions(case, model, kind) -> None:
    one = case("binary")
    shuffled = one.frame.sample(frac=1.0, random_state=1).sort_values(one.data.id)
    ordered = one.frame.sort_values(one.data.id)
    scores = [
        predict(
            fit_model("binary", model(kind), one.data, rows, rows["employed"]),
            one.frame,
            one.data,
            "binary",
        ).scores
        for rows in (ordered, shuffled)
    ]
    assert np.array_equal(scores[0], scores[1])


@pytest.mark.parametrize("kind", ["random_forest", "hist_gradient_boosting"])
def test_reported_steps_result_in_the_model_of_a_single_fit(
    case, model, kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sluice.models.estimators.kinds import build_pipeline

    monkeypatch.setattr("sluice.models.reporting.LONG_FIT", 0)
    one = case("binary")
    X, y = one.frame[list(one.data.features)], one.y.to_numpy()
    stepped = fit_model("binary", model(kind), one.data, one.frame, one.y)
    single = build_pipeline("binary", model(kind), one.data).fit(X, y)
    assert np.array_equal(stepped.predict_proba(X), single.predict_proba(X))


def test_a_long_fit_reports_its_progress(case, model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.models.reporting.LONG_FIT", 15 * 1_500)
    one, lines = case("binary"), []
    boosting = model("hist_gradient_boosting")
    fit_model("binary", boosting, one.data, one.frame, one.y, progress=lines.append)
    assert lines[0] == "preparing 13 features of 1,500 rows"
    assert lines[-1] == "15 of 15 iterations done"


def test_a_short_fit_is_done_at_once(case, model) -> None:
    one, lines = case("binary"), []
    boosting = model("hist_gradient_boosting")
    fit_model("binary", boosting, one.data, one.frame, one.y, progress=lines.append)
    assert lines == ["preparing 13 features of 1,500 rows"]


def test_a_calibrated_fit_reports_its_folds(case, model) -> None:
    one, lines = case("binary"), []
    calibrated = model("linear", calibration="sigmoid")
    fit_model("binary", calibrated, one.data, one.frame, one.y, progress=lines.append)
    assert lines[1:] == [f"fit {number} of 6" for number in range(1, 7)]


def test_a_fit_that_does_not_converge_is_reported(case, model) -> None:
    one, lines = case("binary"), []
    hasty = model("linear", max_iterations=2)
    fit_model("binary", hasty, one.data, one.frame, one.y, progress=lines.append)
    assert "did not converge in 2 iterations" in lines[-1]


def test_a_number_is_the_decision_threshold(case, model) -> None:
    one = case("binary")
    strict = model("linear", threshold=0.8)
    pipeline = fit_model("binary", strict, one.data, one.frame, one.y)
    predicted = predict(pipeline, one.frame, one.data, "binary")
    assert find_threshold(pipeline) == 0.8
    assert np.array_equal(predicted.labels == 1, predicted.scores >= 0.8)
    assert np.array_equal(pipeline.predict(one.frame[list(one.data.features)]), predicted.labels)


@pytest.mark.parametrize("calibration", ["none", "isotonic"])
def test_a_chosen_threshold_beats_one_half_on_its_own_figure(
    case, model, year, calibration
) -> None:
    one = case("binary")
    rare = one.frame[(one.y == 0) | (np.arange(len(one.frame)) % 6 == 0)]
    chosen = model("linear", threshold="balanced_accuracy", calibration=calibration)
    pipeline = fit_model("binary", chosen, one.data, rare, rare["employed"])
    later = year(2016).head(3_000)
    predicted = predict(pipeline, later, one.data, "binary")
    plain = balanced_accuracy_score(later["employed"], predicted.scores >= 0.5)
    assert find_threshold(pipeline) < 0.4
    assert balanced_accuracy_score(later["employed"], predicted.labels) > plain + 0.03


@pytest.mark.parametrize("calibration", ["none", "sigmoid"])
def test_a_threshold_by_rate_keeps_its_false_positives_on_new_rows(
    case, model, year, calibration
) -> None:
    one, rate = case("binary"), 0.05
    strict = model("linear", threshold={"false_positive_rate": rate}, calibration=calibration)
    pipeline = fit_model("binary", strict, one.data, one.frame, one.y)
    later = year(2016).head(3_000)
    found = predict(pipeline, later, one.data, "binary").labels[later["employed"] == 0]
    assert 0.02 < found.mean() < 0.09
    assert find_threshold(pipeline) > 0.7


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40).map(lambda n: n / 50), min_size=20, max_size=40),
    st.integers(5, 49).map(lambda n: n / 100),
)
def test_the_threshold_is_the_lowest_that_keeps_the_rate(scores: list[float], rate: float) -> None:
    negatives = np.array(scores)
    threshold = find_rate_threshold(negatives, rate)
    assert (negatives >= threshold).mean() <= rate
    lower = negatives[negatives < threshold].max()
    assert (negatives >= lower).mean() > rate


def test_a_rate_that_the_rows_cannot_show_is_refused(case, model) -> None:
    options = {"threshold": {"false_positive_rate": 0.0001}}
    refuse(case, model, "binary", r"only \d+ negative training rows; allowed: 0", options=options)
    with pytest.raises(TrainingImpossible, match="have a score of 1: no threshold keeps that rate"):
        find_rate_threshold(np.ones(100), 0.01)


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_calibration_corrects_overconfident_probabilities(case, model, calibration) -> None:
    from sklearn.metrics import log_loss

    one = case("binary")
    half = np.arange(len(one.frame)) % 2 == 0
    losses = []
    for choice in ("none", calibration):
        greedy = model("hist_gradient_boosting", calibration=choice, iterations=60, min_leaf=2)
        pipeline = fit_model("binary", greedy, one.data, one.frame[half], one.y[half])
        scores = predict(pipeline, one.frame[~half], one.data, "binary").scores
        losses.append(log_loss(one.y[~half], np.clip(scores, 0.01, 0.99)))
    assert losses[1] < losses[0] - 0.02


def test_balanced_classes_find_more_of_the_rare_one(case, model) -> None:
    one = case("binary")
    rare = one.frame[(one.y == 0) | (one.frame["age"] < 33)]
    found = []
    for weight in ("none", "balanced"):
        weighted = model("hist_gradient_boosting", class_weight=weight)
        pipeline = fit_model("binary", weighted, one.data, rare, rare["employed"])
        found.append((predict(pipeline, rare, one.data, "binary").labels == 1).sum())
    assert found[1] > found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_no_weight_do_not_change_the_model(case, model, kind) -> None:
    one = case("binary")
    weights = (np.arange(len(one.frame)) % 3 > 0).astype(float)
    flipped = one.y.where(weights > 0, 1 - one.y)
    scores = [
        predict(
            fit_model("binary", model(kind), one.data, one.frame, y, weights),
            one.frame,
            one.data,
            "binary",
        ).scores
        for y in (one.y, flipped)
    ]
    assert np.array_equal(scores[0], scores[1])


def test_weights_reach_the_folds_of_a_chosen_threshold(case, model) -> None:
    one = case("binary")
    chosen = model("linear", threshold="balanced_accuracy", calibration="sigmoid")
    weights = np.where(one.y == 1, 5.0, 1.0)
    thresholds = [
        find_threshold(fit_model("binary", chosen, one.data, one.frame, one.y, given))
        for given in (None, weights)
    ]
    assert thresholds[1] > thresholds[0] + 0.1


def test_the_sensitive_columns_are_not_needed_to_predict(case, model) -> None:
    one = case("binary")
    pipeline = fit_model("binary", model("linear"), one.data, one.frame, one.y)
    bare = one.frame.drop(columns=["sex", "race", "employed"])
    assert len(predict(pipeline, bare, one.data, "binary").labels) == len(bare)


def refuse(case, model, problem, message, kind="linear", **changes):
    one = case(problem)
    frame, y = changes.get("frame", one.frame), changes.get("y", one.y)
    with pytest.raises(TrainingImpossible, match=message):
        fit_model(problem, model(kind, **changes.get("options", {})), one.data, frame, y)


def test_one_class_is_refused(case, model) -> None:
    refuse(case, model, "binary", "one class only", y=pd.Series(np.ones(1_500, dtype=int)))


def test_no_rows_are_refused(case, model) -> None:
    one = case("binary")
    refuse(case, model, "binary", "no training rows", frame=one.frame.head(0), y=one.y.head(0))


def test_a_null_target_is_refused(case, model) -> None:
    y = case("binary").y.astype(float).mask(lambda values: values.index < 3)
    refuse(case, model, "binary", "'employed' is null in 3 of 1,500", y=y)


def test_three_classes_are_no_binary_problem(case, model) -> None:
    y = pd.Series(np.arange(1_500) % 3)
    refuse(case, model, "binary", "has 3 classes .* set problem to `multiclass`", y=y)


def test_a_positive_class_that_never_occurs_is_refused(case, model) -> None:
    y = pd.Series(np.where(np.arange(1_500) % 2, 5, 6))
    refuse(case, model, "binary", r"none of which is data.positive \(1\)", y=y)


def test_a_class_smaller_than_the_folds_is_refused(case, model) -> None:
    y = pd.Series((np.arange(1_500) < 4).astype(int))
    options = {"calibration": "sigmoid"}
    refuse(case, model, "binary", "has 4 training rows; .* at least 5", y=y, options=options)


def test_infinite_targets_are_refused(case, model) -> None:
    y = case("regression").y.mask(lambda values: values.index == 2, np.inf)
    refuse(case, model, "regression", "'answer' is infinite in 1 of 442", y=y)


def test_a_constant_target_is_refused(case, model) -> None:
    refuse(case, model, "regression", "one value only", y=case("regression").y * 0 + 2.5)


def test_infinite_features_are_refused(case, model) -> None:
    frame = case("regression").frame.copy()
    frame.loc[3, "bmi"] = -np.inf
    refuse(case, model, "regression", "'bmi' is infinite in 1 of 442", frame=frame)


def test_an_empty_feature_is_refused(case, model) -> None:
    frame = case("binary").frame.assign(education=None)
    refuse(case, model, "binary", "'education' is filled in 0 of 1,500 .* 10 needed", frame=frame)


def test_features_without_information_cannot_choose_a_threshold(case, model) -> None:
    frame = case("binary").frame.copy()
    for name in case("binary").data.features:
        frame[name] = frame[name].iloc[0]
    options = {"threshold": "f1"}
    refuse(case, model, "binary", "features do not predict", frame=frame, options=options)


def test_an_absent_feature_is_named(case, model) -> None:
    one = case("binary")
    with pytest.raises(DataInvalid, match="lack feature column 'age'"):
        fit_model("binary", model("linear"), one.data, one.frame.drop(columns="age"), one.y)


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        ("multiclass", {"threshold": 0.4}),
        ("regression", {"threshold": "f1"}),
        ("regression", {"calibration": "sigmoid"}),
        ("regression", {"class_weight": "balanced"}),
    ],
)
def test_options_that_a_problem_cannot_use_are_refused(case, model, problem, options) -> None:
    one = case(problem)
    with pytest.raises(ConfigInvalid, match=f"model.{next(iter(options))} is"):
        fit_model(problem, model("linear", **options), one.data, one.frame, one.y)


@pytest.mark.parametrize("kind", KINDS)
def test_nulls_unknown_levels_and_timestamps_are_accepted(model, kind) -> None:
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "size": np.where(np.arange(n) % 7 == 0, np.nan, rng.normal(size=n)),
            "colour": pd.Series(rng.choice(["red", "blue"], n)).mask(np.arange(n) % 9 == 0),
            "many": [f"level {i}" for i in range(n)],
            "open": pd.Series(rng.choice([True, False], n), dtype=object).mask(
                np.arange(n) % 5 == 0, None
            ),
            "when": pd.Series(pd.date_range("2020-01-01", periods=n, freq="h", tz="UTC")).mask(
                np.arange(n) % 11 == 0
            ),
            "y": ["yes" if x else "no" for x in rng.integers(0, 2, n)],
        }
    )
    columns = {"id": "integer", "size": "number", "colour": "text"}
    columns |= {"many": "text", "open": "boolean", "when": "timestamp", "y": "text"}
    features = ["size", "colour", "many", "open", "when"]
    values = {"id": "id", "target": "y", "positive": "yes", "suite": "none"}
    data = DataConfig.model_validate({**values, "columns": columns, "features": features})
    pipeline = fit_model("binary", model(kind), data, frame, frame["y"])
    later = frame.assign(colour="green", many="another", open=None, when=pd.NaT, size=np.nan)
    predicted = predict(pipeline, later, data, "binary")
    assert np.isfinite(predicted.scores).all()
    assert set(predicted.labels.tolist()) <= {"yes", "no"}
