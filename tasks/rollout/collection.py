"""Metrics collection for a rollout's controller: replicas' counters, and the traffic log."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sluice.adapters.control.store import open_control
from sluice.adapters.gateway import Replicas, find_replicas
from sluice.adapters.traffic.log import read_units
from sluice.config.loading import load_gateway
from sluice.errors import SluiceError
from sluice.home import environment_name, find_home
from sluice.rollout.assignment import place_of
from sluice.rollout.balance import SALTS, Balance, choose_salt, measure_balance
from sluice.rollout.collection import (
    CollectedFacts,
    ExpectedState,
    Reply,
    collect_facts,
    judge_smoke,
)
from sluice.rollout.facts import Facts, Units
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase

AGAIN_SECONDS, SOON_SECONDS = 20.0, 2.0
"""Seconds before the slow checks run again, and before the smoke test is asked for again where no
replica could run it: a candidate is not loaded yet, most of the time."""


@dataclass(frozen=True)
class StageChecks:
    """The results of the slow checks at the end of a stage's `min`; `at` in monotonic seconds."""

    epoch: int = -1
    fair: bool | None = None
    units: Units | None = None
    smoke: bool | None = None
    problem: str = ""
    at: float = -AGAIN_SECONDS


class MetricsCollector:
    """Collects one rollout's facts from a gateway; results of slow checks are kept for a while."""

    def __init__(self, service: str, replicas: Replicas | None = None) -> None:
        """Use the given replicas, else those of the state folder's gateway.

        Raises:
            ConfigInvalid: the gateway's settings are not right.
            ControlUnavailable: the control store does not answer.
        """
        self._service, self._given = service, replicas
        self._config = load_gateway(environment_name())
        self.identity = open_control(find_home()).find_identity()
        """Identity of the control store, which its gateways know too."""
        self._checks = StageChecks()

    def read(self) -> dict[str, Reply]:
        """Return each replica's reply, by its address."""
        return self._find_replicas().read_counters()

    def count(self, rollout: RolloutRecord) -> CollectedFacts:
        """Return one tick's counts, without the slow checks."""
        state, alone = rollout.state, rollout.state.phase is Phase.SOAK
        expected = ExpectedState(
            rollout.service, rollout.champion, rollout.candidate, state.epoch, alone, self.identity
        )
        return collect_facts(self.read(), expected, rollout.readings)

    def collect(self, rollout: RolloutRecord) -> tuple[RolloutRecord, Facts]:
        """Return the rollout with its new readings and salt, and one tick's facts.

        Smoke test, shadow balance and distinct units are checked once the stage could end.
        """
        collected = self.count(rollout)
        rollout = replace(rollout, readings=collected.readings)
        if not self._can_end(rollout):
            return rollout, collected.facts
        rollout = self._run_checks(rollout)
        checks = self._checks
        missing = "; ".join(filter(None, (collected.facts.missing, checks.problem)))
        facts = replace(
            collected.facts, smoke=checks.smoke, fair_salt=checks.fair, units=checks.units
        )
        return rollout, replace(facts, missing=missing)

    def _find_replicas(self) -> Replicas:
        """Return the replicas where they are now: a stack that starts again may move its ports."""
        return self._given or find_replicas(find_home(), self._config)

    def _can_end(self, rollout: RolloutRecord) -> bool:
        state, policy = rollout.state, rollout.policy
        moving = state.phase in (Phase.SHADOW, Phase.CANARY, Phase.HOLDING)
        least = policy.count_blocks(policy.stages[state.stage].min)
        return moving and state.observation.blocks + 1 >= least

    def _run_checks(self, rollout: RolloutRecord) -> RolloutRecord:
        checks, now, epoch = self._checks, time.monotonic(), rollout.state.epoch
        if checks.epoch != epoch:
            checks = StageChecks(epoch)
        if now - checks.at < (SOON_SECONDS if checks.smoke is None else AGAIN_SECONDS):
            return rollout
        in_shadow = rollout.policy.stages[rollout.state.stage].weight == 0
        smoke, problem = checks.smoke, ""
        if not smoke:
            replies = self._find_replicas().smoke_candidate(rollout.service)
            smoke, problem = judge_smoke(replies, rollout.candidate, self.identity)
        self._checks = checks = replace(checks, smoke=smoke, problem=problem, at=now)
        if smoke is None:
            return rollout  # nothing advances without it
        try:
            if in_shadow and not checks.fair:
                rollout, fair = self._choose_salt(rollout)
                checks = replace(checks, fair=fair)
            elif not in_shadow:
                checks = replace(checks, units=self._count_units(rollout))
        except SluiceError as error:
            checks = replace(checks, problem="; ".join(filter(None, (problem, str(error)))))
        self._checks = checks
        return rollout

    def _choose_salt(self, rollout: RolloutRecord) -> tuple[RolloutRecord, bool | None]:
        """Choose a salt for which both arms' users would have failed equally often in shadow."""
        if rollout.terms.assign_by == "request":
            return rollout, True
        table = read_units(find_home().answers(rollout.service), rollout.state.epoch)
        if table is None or table.num_rows == 0:
            return rollout, None
        names, places = np.unique(table["unit"].to_numpy(), return_inverse=True)
        requests = np.bincount(places).astype(float)
        failures = np.bincount(places, weights=table["failed"].to_numpy(zero_copy_only=False))
        salt = choose_salt(_try_salts(rollout, names.tolist(), requests, failures))
        return (replace(rollout, salt=salt), True) if salt else (rollout, False)

    def _count_units(self, rollout: RolloutRecord) -> Units | None:
        if rollout.terms.assign_by == "request":
            return None
        table = read_units(find_home().answers(rollout.service), rollout.state.epoch)
        if table is None:
            return None
        distinct = table.select(["unit", "arm"]).group_by(["unit", "arm"]).aggregate([])
        arms = distinct["arm"].to_pylist()
        return Units(arms.count("candidate"), arms.count("champion"))


def _try_salts(
    rollout: RolloutRecord, units: list[str], requests: Any, failures: Any
) -> list[Balance]:
    """Measure eight salts at each stage's weight, the current salt first."""
    root = rollout.salt.partition(".")[0]
    salts = [rollout.salt, *(f"{root}.{number}" for number in range(1, SALTS))]
    margin = rollout.policy.rules.error_margin.margin
    weights = [stage.weight for stage in rollout.policy.stages if stage.weight > 0]
    found = []
    for salt in dict.fromkeys(salts):
        places = np.array([place_of(salt, unit) for unit in units])
        found += [
            measure_balance(places, requests, failures, (salt, weight), margin)
            for weight in weights
        ]
    return found
