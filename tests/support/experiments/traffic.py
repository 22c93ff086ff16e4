"""Requests of users, drawn in bulk and assigned as the gateway assigns."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sluice.config.experiments.experiment import ExperimentConfig
from sluice.experiments.requests import ExperimentRequests
from sluice.rollout.assignment import hash_unit, place_of

START = 1_790_000_000.0
DAY = 86_400.0
VALUES: dict[str, Any] = {
    "experiment": "tone",
    "service": "towns",
    "hypothesis": "The new version raises the share of pleased users by a quarter.",
    "primary": {"name": "pleased", "source": "positive", "shape": "rate", "better": "higher"},
    "minimum_detectable_effect": 0.25,
    "split": 0.5,
    "window": "1 d",
}


def configure(**more: Any) -> ExperimentConfig:
    """Return an experiment's configuration, with some keys changed."""
    return ExperimentConfig.model_validate({**VALUES, **more})


@dataclass(frozen=True)
class Draw:
    """How users behave: their number, the days over which they come, and how often they answer."""

    users: int = 2000
    days: float = 7.0
    rate_a: float = 0.2
    rate_b: float = 0.2
    requests: float = 3.0
    failed_b: float = 0.0
    spread: float = 0.0
    """How much more users differ than chance makes them: the shape of a beta's inverse."""
    lost_b: float = 0.0
    """Share of the treatment's users that are never logged."""


def draw_requests(
    draw: Draw, config: ExperimentConfig, seed: int = 1, salt: str = "s"
) -> ExperimentRequests:
    """Return requests of users who come once, within the days; each request may be praised."""
    rng = np.random.default_rng(seed)
    users = np.array([hash_unit(f"{seed}-{number}") for number in range(draw.users)])
    treated = np.array([place_of(salt, user) < config.split for user in users])
    kept = ~treated | (rng.random(draw.users) >= draw.lost_b)
    users, treated = users[kept], treated[kept]
    entered = START + rng.random(len(users)) * draw.days * DAY
    count = 1 + rng.poisson(draw.requests - 1, len(users))
    rate = np.where(treated, draw.rate_b, draw.rate_a)
    if draw.spread:
        rate = rng.beta(rate / draw.spread, (1 - rate) / draw.spread)
    names, places = np.unique(users, return_inverse=True)
    unit = np.repeat(places, count)
    at = np.repeat(entered, count) + rng.random(len(unit)) * 0.5 * DAY
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    at[first] = entered
    arm = np.repeat(treated.astype(np.int64), count)
    praised = rng.random(len(unit)) < np.repeat(rate, count)
    failed = (rng.random(len(unit)) < np.where(arm == 1, draw.failed_b, 0.0)).astype(float)
    days = [f"day {int((moment - START) // DAY)}" for moment in entered]
    order = np.argsort(places)
    return ExperimentRequests(
        names=names.astype(str),
        unit=unit.astype(np.int64),
        arm=arm,
        at=at,
        figures={
            "requests": np.ones(len(unit)),
            "positive": praised.astype(float),
            "value": praised * 10.0,
            "failed": failed,
        },
        feedback_at=at,
        traits={"day": [days[place] for place in order]},
    )
