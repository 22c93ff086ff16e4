"""One experiment as the control store holds it: its step, its arms, plan, analysis and decision."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sluice.config.experiments.experiment import ExperimentConfig, hash_experiment
from sluice.control.route import Mode, Route, RouteKind
from sluice.documents import parse_json
from sluice.experiments.analysis import Choice, ExperimentAnalysis
from sluice.experiments.plan import ExperimentPlan

CONTROL_ARM, TREATMENT_ARM = "control", "treatment"


class ExperimentPhase(StrEnum):
    """How far an experiment is; each step follows the one before."""

    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"
    """The traffic is over, nothing was analysed yet."""
    ANALYSED = "analysed"
    DECIDED = "decided"


STEPS = {
    ExperimentPhase.PLANNED: ("step 3, sample size", "plan"),
    ExperimentPhase.RUNNING: ("step 4, randomised traffic", "start"),
    ExperimentPhase.ENDED: ("step 5, the calculated duration", "status"),
    ExperimentPhase.ANALYSED: ("step 6, analysis", "analyse"),
    ExperimentPhase.DECIDED: ("step 7, decision", "decide"),
}
"""The step by which each phase is reached, and its command. Steps 1 and 2 are the file's."""


@dataclass(frozen=True)
class ExperimentDecision:
    """What a person decided, by whom and why."""

    choice: Choice
    by: str
    reason: str
    at: datetime
    origin: str = ""

    def repeats(self, other: "ExperimentDecision") -> bool:
        """Whether another one says the same, by the same person, for the same reason."""
        return (self.choice, self.by, self.reason) == (other.choice, other.by, other.reason)


@dataclass(frozen=True)
class ExperimentRecord:
    """One run of an experiment; `number` counts the runs of one name."""

    name: str
    number: int
    service: str
    phase: ExperimentPhase
    config: ExperimentConfig
    plan: ExperimentPlan
    control: int = 0
    """Version of the control, which serves; 0 before the start."""
    treatment: int = 0
    salt: str = ""
    kind: RouteKind = "model"
    epoch: int = 0
    """Epoch of the route that it runs on; it never changes while the experiment runs."""
    planned: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    """When the traffic ended; None while it runs."""
    end_reason: str = ""
    """Why it ended before its time; empty where it did not."""
    analysis: ExperimentAnalysis | None = None
    decision: ExperimentDecision | None = None
    revision: int = 0

    @property
    def key(self) -> str:
        """What requests of this run are logged with, such as `tone-2`."""
        return f"{self.name}-{self.number}"

    @property
    def due(self) -> datetime | None:
        """When its calculated duration is over; None before the start."""
        return self.started + timedelta(seconds=self.plan.seconds) if self.started else None

    def is_due(self, now: datetime) -> bool:
        """Whether its calculated duration is over."""
        return self.due is not None and now >= self.due

    def as_of(self, now: datetime) -> float:
        """Return until when its traffic counts, in seconds since 1970."""
        end = self.due if self.ended is None or not self.end_reason else self.ended
        return min(now, end or now).timestamp()

    def direct(self, seen: Route, lease_ttl: float) -> Route:
        """Return the route for gateways while it runs, which replaces the one that was seen."""
        return replace(
            seen,
            champion=self.control,
            candidate=self.treatment,
            weight=self.config.split,
            stage_weights=(),
            shadow_share=0.0,
            salt=self.salt,
            assign_by="request" if self.config.unit == "request" else "unit",
            mode=Mode.CANARY,
            ttl=lease_ttl,
            experiment=self.key,
        )


def matches_file(record: ExperimentRecord, config: ExperimentConfig) -> bool:
    """Whether the experiment's file still says what was planned."""
    return hash_experiment(record.config) == hash_experiment(config)


def dump_facts(facts: Any) -> str:
    """Return a plan, an analysis or a decision as JSON."""
    kind: Any = type(facts)
    text: bytes = _adapt(kind).dump_json(facts)
    return text.decode()


def load_facts(kind: Any, text: str) -> Any:
    """Return what `dump_facts` wrote; None of an empty text."""
    return _adapt(kind).validate_python(parse_json(text)) if text else None


@lru_cache(maxsize=8)
def _adapt(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
