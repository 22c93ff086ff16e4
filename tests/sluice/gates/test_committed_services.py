"""The other committed services' limits on real rows: good models pass, broken ones halt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.data.split import split_rows
from sluice.gates.bias import BiasGate, measure_bias
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.stats.holdout import Predictions
from sluice.verdict import Outcome, Verdict
from support.releases.services import read_first_rows

pytestmark = pytest.mark.slow  # the models of all services are trained

SERVICES = ("arrivals", "earnings")


@dataclass(frozen=True, eq=False)
class FittedService:
    """A committed service's first rows, split as configured."""

    config: ServiceConfig
    frame: pd.DataFrame
    is_held_out: NDArray[np.bool_]

    @property
    def held_out_rows(self) -> pd.DataFrame:
        return self.frame[self.is_held_out].reset_index(drop=True)

    def fit(self, frame: pd.DataFrame, held_out: pd.DataFrame | None = None) -> Predictions:
        """Fit on the training rows of `frame` and return predictions for the held-out rows."""
        data, training = self.config.data, frame[~self.is_held_out]
        target = training[data.target]
        model = fit_model(self.config.problem, self.config.model, data, training, target)
        rows = self.held_out_rows if held_out is None else held_out
        return predict(model, rows, data, self.config.problem)

    def evaluate(
        self, predictions: Predictions, champion: Predictions | None = None, **changes: str
    ) -> Verdict:
        limits, rows = self.config.evaluation.model_copy(update=changes), self.held_out_rows
        holdout = Holdout(rows[self.config.data.target].to_numpy(), rows)
        problem: Any = self.config.problem
        training = self.frame.loc[~self.is_held_out, self.config.data.target].to_numpy()
        return EvaluationGate(limits).judge(
            measure_evaluation(
                limits, problem, 1, holdout, predictions, champion, training=training
            )
        )

    def audit(self, predictions: Predictions, rows: pd.DataFrame) -> Verdict:
        limits, problem = self.config.bias, self.config.problem
        holdout = Holdout(rows[self.config.data.target].to_numpy(), rows)
        evidence = measure_bias(limits, problem, limits.favourable, holdout, predictions)
        return BiasGate(limits).judge(evidence)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FittedService]:
    found = {}
    for service in SERVICES:
        config = load_service(service, "production")
        folder: Path = tmp_path_factory.mktemp(service)
        frame = read_first_rows(config, folder)
        found[service] = FittedService(
            config, frame, split_rows(frame, config.data, config.split).holdout
        )
    return found


@pytest.fixture(scope="module")
def sound(services: dict[str, FittedService]) -> dict[str, Predictions]:
    return {service: fitted.fit(fitted.frame) for service, fitted in services.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_a_sound_model_passes(
    services: dict[str, FittedService], sound: dict[str, Predictions], service: str
) -> None:
    fitted, predictions = services[service], sound[service]
    assert fitted.evaluate(predictions).passed
    assert fitted.evaluate(predictions, predictions, on_identical="notice").passed
    assert fitted.audit(predictions, fitted.held_out_rows).passed


def test_what_needs_no_model_does_not_pass(services: dict[str, FittedService]) -> None:
    earnings, arrivals = services["earnings"], services["arrivals"]
    again = Predictions(earnings.held_out_rows["earned_1975"].to_numpy())
    assert not earnings.evaluate(again).passed
    delay = arrivals.held_out_rows["departure_delay"].to_numpy()
    classes = ("early", "late", "on time")
    labels = np.select([delay < -10, delay < 15], ["early", "on time"], "late").astype(object)
    scores = (labels[:, None] == np.array(classes, dtype=object)) * 0.9 + 0.1 / 3
    verdict = arrivals.evaluate(Predictions(labels, scores, classes))
    assert verdict.outcome is Outcome.FAIL
    failed = {check.name for check in verdict.checks if check.outcome is Outcome.FAIL}
    assert "macro_f1 floor" in failed


def test_a_class_that_collapsed_is_found(
    services: dict[str, FittedService], sound: dict[str, Predictions]
) -> None:
    """Until the end of February, early flights were recorded as on time."""
    fitted = services["arrivals"]
    early = (fitted.frame["day"] < "2013-02-27") & (fitted.frame["arrival"] == "early")
    training_rows = fitted.frame.assign(arrival=fitted.frame["arrival"].mask(early, "on time"))
    verdict = fitted.evaluate(fitted.fit(training_rows), sound["arrivals"])
    assert verdict.outcome is Outcome.FAIL
    check = next(item for item in verdict.checks if item.name == "accuracy against champion")
    assert check.outcome is Outcome.FAIL


def test_targets_joined_in_the_wrong_order_are_found(
    services: dict[str, FittedService], sound: dict[str, Predictions]
) -> None:
    fitted = services["earnings"]
    shuffled = fitted.frame["earned_1978"].sample(frac=1, random_state=3).to_numpy()
    half = np.arange(len(shuffled)) % 2 == 0
    training_rows = fitted.frame.assign(
        earned_1978=fitted.frame["earned_1978"].where(~half, shuffled)
    )
    verdict = fitted.evaluate(fitted.fit(training_rows), sound["earnings"])
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("rmse ")


def test_a_group_whose_record_was_lost_is_found(services: dict[str, FittedService]) -> None:
    """Earlier earnings of Hispanic workers are recorded as 0; their outcome is correct."""
    fitted = services["earnings"]
    gone = fitted.frame["ethnicity"] == "hispanic"
    former = {name: fitted.frame[name].mask(gone, 0.0) for name in ("earned_1974", "earned_1975")}
    broken = fitted.frame.assign(**former)
    held_out_rows = broken[fitted.is_held_out].reset_index(drop=True)
    verdict = fitted.audit(fitted.fit(broken, held_out_rows), held_out_rows)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("error ratio of ethnicity=hispanic 1.")
