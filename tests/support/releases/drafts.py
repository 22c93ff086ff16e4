"""Drafts of services from frames and files, and their first release without a server."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sluice.adapters.tables.files import read_unknown
from sluice.config.service import ServiceConfig
from sluice.data.leakage import measure_leakage
from sluice.data.split import split_rows
from sluice.documents import parse_yaml
from sluice.gates.bias import BiasGate, measure_bias
from sluice.gates.data import DataGate
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.profile.document import write_document
from sluice.profile.draft import Draft, InitOptions, assign_roles, draft_service
from sluice.profile.facts.repairs import check_classes
from sluice.profile.facts.sensitive import find_favourable, read_sensitive
from sluice.profile.facts.sizes import list_classes
from sluice.verdict import Check, Outcome, Verdict

CASES = Path(__file__).resolve().parents[2] / "cases"


@dataclass(frozen=True, eq=False)
class DraftedService:
    """A draft, the configuration that it wrote, and the rows."""

    draft: Draft
    config: ServiceConfig
    frame: pd.DataFrame
    text: str

    def release(self) -> dict[str, Verdict]:
        """Train the configured model as a first release does, and return two gates' verdicts."""
        config, data = self.config, self.config.data
        held = split_rows(self.frame, data, config.split).holdout
        training, rows = self.frame[~held], self.frame[held].reset_index(drop=True)
        model = fit_model(config.problem, config.model, data, training, training[data.target])
        predictions = predict(model, rows, data, config.problem)
        holdout = Holdout(rows[data.target].to_numpy(), rows)
        evidence = measure_evaluation(
            config.evaluation,
            config.problem,
            data.positive,
            holdout,
            predictions,
            None,
            training=training[data.target].to_numpy(),
        )
        good = config.bias.favourable
        bias = measure_bias(config.bias, config.problem, good, holdout, predictions)
        return {
            "evaluation": EvaluationGate(config.evaluation).judge(evidence),
            "bias": BiasGate(config.bias).judge(bias),
        }

    def check_leakage(self) -> list[Check]:
        """Return the data gate's checks for target leakage on the first file."""
        data = self.config.data
        new = pd.Series(data=True, index=self.frame.index)
        powers = {
            item.feature: item
            for item in measure_leakage(
                self.frame, new, data.features, data.target, self.config.problem
            )
        }
        gate = DataGate(data)
        return [
            gate._check_leakage(name, powers.get(name), Outcome.INSUFFICIENT)
            for name in data.features
        ]


def draft_frame(folder: Path, frame: pd.DataFrame, target: str, **options: Any) -> DraftedService:
    """Write a frame as CSV, and draft a service from it."""
    path = folder / "rows.csv"
    frame.to_csv(path, index=False)
    return draft_file(path, target, **options)


def draft_file(path: Path, target: str, **options: Any) -> DraftedService:
    """Draft a service from a file as `sluice init` does without a terminal."""
    chosen = InitOptions(target, **{"sensitive": "none", "reason": "No people.", **options})
    found = read_unknown(path)
    columns = list_classes(found.columns, found.table, target)
    roles = assign_roles(columns, chosen, path.name)
    check_classes(path, roles.target, roles.problem.value, found.reading)
    named = read_sensitive(chosen.sensitive, chosen.reason, columns, roles.taken)
    good = None
    if named:
        good = find_favourable(roles.target, roles.problem.value, chosen.favourable, roles.positive)
    roles = replace(roles, sensitive=named, reason=chosen.reason, favourable=good)
    frame = found.table.to_pandas()
    draft = draft_service("drafted", path.name, frame, columns, roles)
    text = write_document(draft)
    return DraftedService(draft, ServiceConfig.model_validate(parse_yaml(text)), frame, text)


def draw_rows(n: int, seed: int = 0) -> pd.DataFrame:
    """Return rows with an id, two informative numbers, a category and noise."""
    random = np.random.default_rng([7, seed])
    return pd.DataFrame(
        {
            "row_id": np.arange(n),
            "size": random.normal(size=n).round(3),
            "weight": random.normal(size=n).round(3),
            "colour": random.choice(["red", "green", "blue"], n),
            "noise": random.normal(size=n).round(3),
        }
    )
