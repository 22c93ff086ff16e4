import numpy as np
import pytest

from sluice.errors import DataInvalid
from sluice.models.prediction import predict
from sluice.models.training import find_threshold, fit_model


def test_scores_are_the_probability_of_the_configured_positive(case, model) -> None:
    one = case("binary")
    turned = one.data.model_copy(update={"positive": 0})
    pipelines = [
        fit_model("binary", model("linear"), data, one.frame, one.y) for data in (one.data, turned)
    ]
    first = predict(pipelines[0], one.frame, one.data, "binary")
    second = predict(pipelines[1], one.frame, turned, "binary")
    assert first.scores == pytest.approx(1.0 - second.scores)
    assert predict(pipelines[0], one.frame, one.data, "binary", 0).scores == pytest.approx(
        second.scores
    )


def test_multiclass_scores_have_a_column_for_each_class(case, model) -> None:
    one = case("multiclass")
    pipeline = fit_model("multiclass", model("random_forest"), one.data, one.frame, one.y)
    predicted = predict(pipeline, one.frame, one.data, "multiclass")
    assert predicted.classes == ("barbera", "barolo", "grignolino")
    assert predicted.scores.sum(axis=1) == pytest.approx(1.0)
    assert [
        predicted.classes[i] for i in predicted.scores.argmax(axis=1)
    ] == predicted.labels.tolist()


def test_a_regression_has_values_and_no_scores(case, model) -> None:
    one = case("regression")
    pipeline = fit_model("regression", model("linear"), one.data, one.frame, one.y)
    predicted = predict(pipeline, one.frame, one.data, "regression")
    assert (predicted.scores, predicted.classes, find_threshold(pipeline)) == (None, (), None)
    assert predicted.labels.dtype == np.float64


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_no_rows_have_no_predictions(case, model, problem) -> None:
    one = case(problem)
    pipeline = fit_model(problem, model("linear"), one.data, one.frame, one.y)
    predicted = predict(pipeline, one.frame.head(0), one.data, problem)
    assert len(predicted.labels) == 0
    assert predicted.scores is None or len(predicted.scores) == 0


def test_a_class_that_was_not_in_training_is_refused(case, model) -> None:
    one = case("binary")
    pipeline = fit_model("binary", model("linear"), one.data, one.frame, one.y)
    with pytest.raises(DataInvalid, match="knows no class 'yes'; it was trained on: 0, 1"):
        predict(pipeline, one.frame, one.data, "binary", "yes")


def test_infinite_features_are_refused(case, model) -> None:
    one = case("regression")
    pipeline = fit_model("regression", model("linear"), one.data, one.frame, one.y)
    frame = one.frame.assign(bmi=np.inf)
    with pytest.raises(DataInvalid, match="'bmi' is infinite in 442 of 442"):
        predict(pipeline, frame, one.data, "regression")
