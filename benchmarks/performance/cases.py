"""The committed services as cases: a model that was fitted on some rows, and all other rows.

The other rows are divided anew for each trial into held-out rows and live rows, so that both come
from one population: without a planted change there is none.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sluice.adapters.tables.files import read_batch
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.home import PROJECT, SAMPLES
from sluice.models.cross_validation import fit_configured
from sluice.models.prediction import predict
from sluice.stats.holdout import Holdout, Predictions

SERVICES = ("employment", "arrivals", "earnings")
TRAINED = 0.4
"""Share of rows that the model is fitted on, where no year is left out."""


@dataclass(frozen=True, eq=False)
class Case:
    """A service, the rows that its model was not fitted on, and the model's predictions of them."""

    config: ServiceConfig
    frame: pd.DataFrame
    predictions: Predictions

    @property
    def y(self) -> NDArray[Any]:
        """The target of the rows."""
        return self.frame[self.config.data.target].to_numpy()

    @property
    def positive(self) -> Any:
        """The class that counts as 1; None where the problem is not binary."""
        return self.config.data.positive if self.config.problem == "binary" else None

    def take(self, rows: NDArray[np.int64]) -> tuple[Holdout, Predictions]:
        """Return some of the rows."""
        given = self.predictions
        scores = None if given.scores is None else given.scores[rows]
        return (
            Holdout(self.y[rows], self.frame.iloc[rows].reset_index(drop=True)),
            Predictions(given.labels[rows], scores, given.classes),
        )


def make_case(service: str) -> Case:
    """Fit a service's model on part of its rows."""
    config = load_service(service, "development")
    trained, others = _read_employment() if service == "employment" else _read_example(config)
    pipeline = fit_configured(config, trained)
    others = others.reset_index(drop=True)
    return Case(config, others, predict(pipeline, others, config.data, config.problem))


def _read_employment() -> tuple[pd.DataFrame, pd.DataFrame]:
    years = [
        pd.read_parquet(SAMPLES / f"acs_employment_{year}.parquet") for year in range(2015, 2019)
    ]
    return years[0], pd.concat(years[1:], ignore_index=True)


def _read_example(config: ServiceConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    script = PROJECT / "docs" / "examples" / f"{config.service}.py"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(script)], cwd=folder, check=True)
        files = sorted(Path(folder).glob("*.csv"))
        rows = pd.concat(
            [read_batch(file, config.data).to_pandas() for file in files], ignore_index=True
        )
    is_trained = np.random.default_rng(0).random(len(rows)) < TRAINED
    return rows[is_trained].reset_index(drop=True), rows[~is_trained]
