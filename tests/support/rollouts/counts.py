"""Traffic for the state machine: seeded counts of both arms, tick by tick."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import yaml

from sluice.config.policy import Policy
from sluice.home import CONFIGS, PROJECT
from sluice.rollout.facts import Arm, Facts
from sluice.rollout.latency import bucket_of
from sluice.rollout.log import Derived
from sluice.rollout.state import Phase, RolloutState, start
from sluice.rollout.state_machine import step

RATE, ERRORS = 150, 0.01
VECTORS = json.loads((PROJECT / "tests/sluice/rollout/vectors.json").read_text(encoding="utf-8"))
"""Published figures of every test."""


def read_policy(name: str) -> Policy:
    """Read one of the committed policies."""
    text = (CONFIGS / "policies" / f"{name}.yaml").read_text(encoding="utf-8")
    return Policy.model_validate_json(json.dumps(yaml.safe_load(text)), strict=True)


LAPTOP = read_policy("laptop")


def arm_of(
    requests: int, failures: int, rng: np.random.Generator | None = None, slower: float = 1.0
) -> Arm:
    """Return an arm's counts; its latencies are lognormal around 20 ms."""
    latencies: dict[int, float] = {}
    if rng is not None:
        for value in rng.lognormal(3.0, 0.4, requests - failures) * slower:
            bucket = bucket_of(float(value))
            latencies[bucket] = latencies.get(bucket, 0) + 1
    return Arm(requests=float(requests), failures=float(failures), latencies=latencies)


def facts_of(
    state: RolloutState,
    rng: np.random.Generator,
    candidate: float = ERRORS,
    slower: float = 1.0,
    policy: Policy = LAPTOP,
) -> Facts:
    """Return the facts of one tick of traffic in a state."""
    weight = state.weight(policy)
    n_c = int(rng.poisson(RATE * (weight or 1.0)))
    n_b = int(rng.poisson(RATE * (1 - weight)))
    arm = arm_of(n_c, int(rng.binomial(n_c, candidate)), rng, slower)
    return Facts(
        candidate=replace(arm, compared=float(n_c)),
        champion=arm_of(n_b, int(rng.binomial(n_b, ERRORS)), rng),
        epoch=state.epoch,
        champion_alarm=-1.0,
        smoke=True,
        fair_salt=True,
    )


def begin(policy: Policy = LAPTOP) -> RolloutState:
    """Return a rollout that has not begun, with twenty seconds of the champion's traffic."""
    rng = np.random.default_rng(99)
    before = [arm_of(RATE, int(rng.binomial(RATE, ERRORS)), rng) for _ in range(20)]
    return start(policy, before)


def drive(
    state: RolloutState,
    rng: np.random.Generator,
    ticks: int,
    candidate: float = ERRORS,
    slower: float = 1.0,
) -> Iterator[Derived]:
    """Step a rollout on traffic until it ends, at most so many ticks."""
    for _ in range(ticks):
        if state.phase.is_final:
            return
        facts = facts_of(state, rng, candidate, slower)
        state, decision = step(state, facts, None, LAPTOP)
        yield Derived(state, decision)


@lru_cache(maxsize=8)
def run_to(phase: Phase) -> RolloutState:
    """Return a healthy rollout at the first tick of a phase."""
    steps = drive(begin(), np.random.default_rng(0), ticks=400)
    return next(item.state for item in steps if item.state.phase is phase)
