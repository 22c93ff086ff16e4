"""Experiments in bulk: users with very different numbers of requests, split as the gateway does."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from sluice.config.experiments.experiment import ExperimentConfig
from sluice.experiments.requests import CONTROL, ExperimentUnits, MetricValues
from sluice.rollout.assignment import place_of

DAY = 86_400.0
START = 1_790_000_000.0
TAIL, MOST = 1.5, 500
"""Index of the Pareto law of requests per user, and the most that one sends."""
Values = NDArray[np.float64]


def configure(**more: object) -> ExperimentConfig:
    values = {
        "experiment": "bench",
        "service": "bench",
        "hypothesis": "The treatment raises the metric by the effect that was planned.",
        "primary": {"name": "m", "source": "value", "shape": "ratio", "better": "higher"},
        "minimum_detectable_effect": 0.1,
        "split": 0.5,
    }
    return ExperimentConfig.model_validate({**values, **more})


@dataclass(frozen=True)
class Population:
    """Users: hashes, requests, and the praised ones among them, under no effect at all."""

    names: list[str]
    requests: Values
    praised: Values


def draw_population(rng: np.random.Generator, users: int) -> Population:
    """Draw users of whom a few send most requests, each with a rate of praise of its own."""
    requests = np.minimum(np.ceil(rng.pareto(TAIL, users) + 1), MOST)
    rates = rng.beta(0.6, 1.4, users)
    praised = rng.binomial(requests.astype(int), rates).astype(float)
    seed = rng.bytes(8).hex()
    names = [sha256(f"{seed}{number}".encode()).hexdigest()[:32] for number in range(users)]
    return Population(names, requests, praised)


def assign(names: list[str], salt: str, weight: float) -> NDArray[np.int64]:
    """Return each user's arm, by the gateway's own function."""
    return np.array([place_of(salt, name) < weight for name in names]).astype(np.int64)


def make_units(
    arm: NDArray[np.int64],
    sums: Values,
    counts: Values,
    entered: Values | None = None,
    covariate: Values | None = None,
) -> ExperimentUnits:
    """Return complete units with the metric `m`."""
    assigned = int(np.sum(arm == CONTROL)), int(np.sum(arm != CONTROL))
    return ExperimentUnits(
        arm=arm,
        entered=entered if entered is not None else np.full(len(arm), START),
        metrics={"m": MetricValues(sums, counts)},
        covariate=covariate,
        traits={},
        assigned=assigned,
        assigned_by={},
    )


def spread_entries(rng: np.random.Generator, users: int, days: int) -> Values:
    """Return when users came: evenly over the days."""
    return START + rng.random(users) * days * DAY


def list_days(days: int, window: float = DAY) -> Iterator[float]:
    """Yield the end of each day on which a look is taken."""
    for day in range(1, days + 1):
        yield START + day * DAY + window
