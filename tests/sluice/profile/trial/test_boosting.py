"""One fit of boosting gives what a fit of each length would give, to the last bit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sluice.config.data import DataConfig
from sluice.config.model import HistGradientBoosting, Problem
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.profile.trial.boosting import BoostedRows, TrialRows

ROWS, ASIDE = 400, 120
MODEL = HistGradientBoosting(kind="hist_gradient_boosting", iterations=40, max_leaves=4)
DATA = DataConfig(
    id="id",
    target="y",
    positive="yes",
    columns={"id": "integer", "x": "number", "word": "text", "y": "text"},
    features=("x", "word"),
    suite="none",
)
NUMBERS = DATA.model_copy(
    update={"columns": {**DATA.columns, "y": "number"}, "positive": None}, deep=True
)


def draw_rows(problem: Problem, noise: float) -> TrialRows:
    """Draw rows whose target follows a feature; with much noise boosting ends soon."""
    draw = np.random.default_rng(3)
    x, error = draw.normal(size=ROWS), draw.normal(size=ROWS)
    word = draw.choice(["a", "b", "c"], ROWS)
    score = np.sin(3 * x) + (word == "a") + noise * error
    y = {
        "binary": np.where(score > 0.3, "yes", "no"),
        "multiclass": np.where(score > 0.8, "high", np.where(score > 0, "middle", "low")),
        "regression": np.exp(score),
    }[problem]
    frame = pd.DataFrame({"id": range(ROWS), "x": x, "word": word, "y": y})
    data = NUMBERS if problem == "regression" else DATA
    return TrialRows(problem, data, frame[ASIDE:], frame[:ASIDE])


def count_iterations(rows: TrialRows, model: HistGradientBoosting) -> int:
    fits = BoostedRows(rows, {model: 100})
    return int(fits._fit_until_best(model).n_iter_)


@pytest.mark.parametrize("noise", [0.0, 5.0])
@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_predictions_are_those_of_a_fit_of_that_length(
    problem: Problem, transform: str, noise: float
) -> None:
    if transform == "log" and problem != "regression":
        return
    rows = draw_rows(problem, noise)
    model = MODEL.model_copy(update={"target_transform": transform})
    fitted = fit_model(problem, model, rows.data, rows.fitted, rows.fitted["y"])
    expected = predict(fitted, rows.aside, rows.data, problem)
    found = BoostedRows(rows, {model: 100}).predict_whole(model)
    assert found.labels.tolist() == np.asarray(expected.labels).tolist()
    assert found.classes == expected.classes
    if problem != "regression":
        assert found.scores is not None
        assert expected.scores is not None
        assert found.scores.tolist() == expected.scores.tolist()


def test_the_search_ends_before_and_after_that_length() -> None:
    """The test above sees both: a fit that is cut, and one that goes on."""
    found = {noise: count_iterations(draw_rows("binary", noise), MODEL) for noise in (0.0, 5.0)}
    assert found[0.0] > MODEL.iterations > found[5.0]


def test_a_model_of_two_lengths_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, done = draw_rows("binary", 0.0), []
    fits = BoostedRows(rows, {MODEL: 100})
    fit = fits._fit
    monkeypatch.setattr(
        fits, "_fit", lambda *given, **more: (done.append(1), fit(*given, **more))[1]
    )
    steps, _ = fits.predict_best(MODEL)
    fits.predict_whole(MODEL)
    assert len(done) == 1
    assert steps > 1


def test_equal_probabilities_are_labelled_as_a_trained_model_labels_them() -> None:
    rows = draw_rows("binary", 0.0)
    frame = rows.fitted.iloc[:200].assign(x=0.0, word="a", y=["yes", "no"] * 100)
    rows = replace(rows, fitted=frame)
    fitted = fit_model("binary", MODEL, rows.data, frame, frame["y"])
    expected = predict(fitted, rows.aside, rows.data, "binary")
    found = BoostedRows(rows, {MODEL: 100}).predict_whole(MODEL)
    assert found.labels.tolist() == np.asarray(expected.labels).tolist()
