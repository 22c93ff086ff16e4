"""The other committed services' limits on real rows: what is sound passes, what is not halts."""

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

SERVICES = ("arrivals", "earnings")


@dataclass(frozen=True, eq=False)
class Ground:
    """A committed service's first rows, divided as it says."""

    config: ServiceConfig
    frame: pd.DataFrame
    held: NDArray[np.bool_]

    @property
    def judged(self) -> pd.DataFrame:
        return self.frame[self.held].reset_index(drop=True)

    def fit(self, taught: pd.DataFrame, judged: pd.DataFrame | None = None) -> Predictions:
        """Give the answers for the rows that judge, of a model taught by the others."""
        data, rows = self.config.data, taught[~self.held]
        model = fit_model(self.config.problem, self.config.model, data, rows, rows[data.target])
        asked = self.judged if judged is None else judged
        return predict(model, asked, data, self.config.problem)

    def evaluate(self, answers: Predictions, champion: Predictions | None = None) -> Verdict:
        limits, rows = self.config.evaluation, self.judged
        holdout = Holdout(rows[self.config.data.target].to_numpy(), rows)
        problem: Any = self.config.problem
        return EvaluationGate(limits).judge(
            measure_evaluation(limits, problem, 1, holdout, answers, champion)
        )

    def audit(self, answers: Predictions, rows: pd.DataFrame) -> Verdict:
        limits, problem = self.config.bias, self.config.problem
        holdout = Holdout(rows[self.config.data.target].to_numpy(), rows)
        evidence = measure_bias(limits, problem, limits.favourable, holdout, answers)
        return BiasGate(limits).judge(evidence)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ground]:
    found = {}
    for service in SERVICES:
        config = load_service(service, "production")
        folder: Path = tmp_path_factory.mktemp(service)
        frame = read_first_rows(config, folder)
        found[service] = Ground(config, frame, split_rows(frame, config.data, config.split).holdout)
    return found


@pytest.fixture(scope="module")
def sound(grounds: dict[str, Ground]) -> dict[str, Predictions]:
    return {service: ground.fit(ground.frame) for service, ground in grounds.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_a_sound_model_passes(
    grounds: dict[str, Ground], sound: dict[str, Predictions], service: str
) -> None:
    ground, answers = grounds[service], sound[service]
    assert ground.evaluate(answers).passed
    assert ground.evaluate(answers, answers).passed
    assert ground.audit(answers, ground.judged).passed


def test_what_needs_no_model_does_not_pass(grounds: dict[str, Ground]) -> None:
    earnings, arrivals = grounds["earnings"], grounds["arrivals"]
    again = Predictions(earnings.judged["earned_1975"].to_numpy())
    assert not earnings.evaluate(again).passed
    delay = arrivals.judged["departure_delay"].to_numpy()
    classes = ("early", "late", "on time")
    labels = np.select([delay < -10, delay < 15], ["early", "on time"], "late").astype(object)
    scores = (labels[:, None] == np.array(classes, dtype=object)) * 0.9 + 0.1 / 3
    verdict = arrivals.evaluate(Predictions(labels, scores, classes))
    assert verdict.outcome is Outcome.FAIL
    failed = {check.name for check in verdict.checks if check.outcome is Outcome.FAIL}
    assert "macro_f1 floor" in failed


def test_a_class_that_collapsed_is_found(
    grounds: dict[str, Ground], sound: dict[str, Predictions]
) -> None:
    """Until the end of February nobody told early from on time."""
    ground = grounds["arrivals"]
    early = (ground.frame["day"] < "2013-02-27") & (ground.frame["arrival"] == "early")
    taught = ground.frame.assign(arrival=ground.frame["arrival"].mask(early, "on time"))
    verdict = ground.evaluate(ground.fit(taught), sound["arrivals"])
    assert verdict.outcome is Outcome.FAIL
    check = next(item for item in verdict.checks if item.name == "accuracy against champion")
    assert check.outcome is Outcome.FAIL


def test_targets_joined_in_the_wrong_order_are_found(
    grounds: dict[str, Ground], sound: dict[str, Predictions]
) -> None:
    ground = grounds["earnings"]
    shuffled = ground.frame["earned_1978"].sample(frac=1, random_state=3).to_numpy()
    half = np.arange(len(shuffled)) % 2 == 0
    taught = ground.frame.assign(earned_1978=ground.frame["earned_1978"].where(~half, shuffled))
    verdict = ground.evaluate(ground.fit(taught), sound["earnings"])
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("rmse ")


def test_a_group_whose_record_was_lost_is_found(grounds: dict[str, Ground]) -> None:
    """What Hispanic workers earned before stands as nothing; their outcome is right."""
    ground = grounds["earnings"]
    gone = ground.frame["ethnicity"] == "hispanic"
    former = {name: ground.frame[name].mask(gone, 0.0) for name in ("earned_1974", "earned_1975")}
    broken = ground.frame.assign(**former)
    judged = broken[ground.held].reset_index(drop=True)
    verdict = ground.audit(ground.fit(broken, judged), judged)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("error ratio of ethnicity=hispanic 1.")
