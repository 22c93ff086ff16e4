"""What a rollout's controller looks at: the replicas' counters, and the traffic log."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sluice.adapters.gateway import Replicas, find_replicas
from sluice.adapters.tables.traffic import read_units
from sluice.config.loading import load_gateway
from sluice.errors import SluiceError
from sluice.home import find_home
from sluice.rollout.assignment import place_of
from sluice.rollout.balance import SALTS, Balance, choose_salt, measure_balance
from sluice.rollout.collection import ExpectedState, Reply, Sighting, collect_facts, judge_smoke
from sluice.rollout.facts import Facts, Units
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase
from tasks.run.tags import environment_name

AGAIN_SECONDS = 20.0
"""How long what was found out slowly is not asked again."""


@dataclass(frozen=True)
class Collected:
    """What was found out at the end of a stage's `min`, and when (monotonic seconds)."""

    epoch: int = -1
    fair: bool | None = None
    units: Units | None = None
    smoke: bool | None = None
    words: str = ""
    at: float = -AGAIN_SECONDS


class MetricsCollector:
    """One controller's view of a gateway; what it finds out slowly it remembers for a while."""

    def __init__(self, service: str, replicas: Replicas | None = None) -> None:
        """Look at the replicas that the environment or the settings name.

        Raises:
            ConfigInvalid: the gateway's settings are not right.
        """
        self._service = service
        self._replicas = replicas or find_replicas(load_gateway(environment_name()))
        self._found = Collected()

    def read(self) -> dict[str, Reply]:
        """Give what each replica tells, by its address."""
        return self._replicas.read_counters()

    def count(self, course: RolloutRecord) -> Sighting:
        """Give one tick's counts."""
        state, alone = course.state, course.state.phase is Phase.SOAK
        wanted = ExpectedState(
            course.service, course.champion, course.candidate, state.epoch, alone
        )
        return collect_facts(self.read(), wanted, course.readings)

    def look(self, course: RolloutRecord) -> tuple[RolloutRecord, Facts]:
        """Give one tick's facts, and the rollout with its new readings and its salt.

        Smoke test, shadow balance and distinct units are asked for once a stage could end.
        """
        seen = self.count(course)
        course = replace(course, readings=seen.readings)
        if not self._nears_its_end(course):
            return course, seen.facts
        course = self._find_out(course)
        found = self._found
        missing = "; ".join(filter(None, (seen.facts.missing, found.words)))
        facts = replace(seen.facts, smoke=found.smoke, fair_salt=found.fair, units=found.units)
        return course, replace(facts, missing=missing)

    def _nears_its_end(self, course: RolloutRecord) -> bool:
        state, policy = course.state, course.policy
        moving = state.phase in (Phase.SHADOW, Phase.CANARY, Phase.HOLDING)
        least = policy.count_blocks(policy.stages[state.stage].min)
        return moving and state.seen.blocks + 1 >= least

    def _find_out(self, course: RolloutRecord) -> RolloutRecord:
        found, now, epoch = self._found, time.monotonic(), course.state.epoch
        if found.epoch != epoch:
            found = Collected(epoch)
        if now - found.at < AGAIN_SECONDS:
            return course
        in_shadow = course.policy.stages[course.state.stage].weight == 0
        smoke, words = found.smoke, ""
        if not smoke:
            replies = self._replicas.smoke_candidate(course.service)
            smoke, words = judge_smoke(replies, course.candidate)
        found = replace(found, smoke=smoke, words=words, at=now)
        try:
            if in_shadow and not found.fair:
                course, fair = self._balance(course)
                found = replace(found, fair=fair)
            elif not in_shadow:
                found = replace(found, units=self._count_units(course))
        except SluiceError as error:
            found = replace(found, words="; ".join(filter(None, (words, str(error)))))
        self._found = found
        return course

    def _balance(self, course: RolloutRecord) -> tuple[RolloutRecord, bool | None]:
        """Choose a salt under which the users that were seen would have failed alike."""
        if course.terms.assign_by == "request":
            return course, True
        table = read_units(find_home().answers(course.service), course.state.epoch)
        if table is None or table.num_rows == 0:
            return course, None
        names, places = np.unique(table["unit"].to_numpy(), return_inverse=True)
        requests = np.bincount(places).astype(float)
        failures = np.bincount(places, weights=table["failed"].to_numpy(zero_copy_only=False))
        salt = choose_salt(_try_salts(course, names.tolist(), requests, failures))
        return (replace(course, salt=salt), True) if salt else (course, False)

    def _count_units(self, course: RolloutRecord) -> Units | None:
        if course.terms.assign_by == "request":
            return None
        table = read_units(find_home().answers(course.service), course.state.epoch)
        if table is None:
            return None
        seen = table.select(["unit", "arm"]).group_by(["unit", "arm"]).aggregate([])
        arms = seen["arm"].to_pylist()
        return Units(arms.count("candidate"), arms.count("champion"))


def _try_salts(
    course: RolloutRecord, units: list[str], requests: Any, failures: Any
) -> list[Balance]:
    """Measure eight salts, the present one first, at each stage's weight."""
    root = course.salt.partition(".")[0]
    salts = [course.salt, *(f"{root}.{number}" for number in range(1, SALTS))]
    margin = course.policy.rules.error_margin.margin
    weights = [stage.weight for stage in course.policy.stages if stage.weight > 0]
    found = []
    for salt in dict.fromkeys(salts):
        places = np.array([place_of(salt, unit) for unit in units])
        found += [
            measure_balance(places, requests, failures, (salt, weight), margin)
            for weight in weights
        ]
    return found
