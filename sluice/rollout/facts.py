"""The facts of one tick: each arm's counts, and everything else that a decision needs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any

from sluice.rollout.latency import Histogram


@dataclass(frozen=True)
class Arm:
    """One assigned arm's counts in one block; every figure is a count or a sum of values in [0, 1].

    In shadow the candidate's requests are the copies that it answered.
    """

    requests: float = 0.0
    failures: float = 0.0
    latencies: Histogram = field(default_factory=dict)
    """Answered requests by latency bucket; the arm's own time, without fallback."""
    guardrails: float = 0.0
    """Requests with a guardrail hit."""
    feedbacks: float = 0.0
    negatives: float = 0.0
    priced: float = 0.0
    """Requests whose cost is known."""
    cost: float = 0.0
    """Sum of min(cost, cap) / cap."""
    valued: float = 0.0
    """Values of the business metric that arrived."""
    lack: float = 0.0
    """Sum of 1 - min(value, cap) / cap over them."""
    compared: float = 0.0
    """Answers that were compared with the champion's (shadow)."""
    differing: float = 0.0
    units: float = 0.0
    """Units whose first request of the stage came in the block (`count: units`)."""
    unit_failures: float = 0.0
    """Units among them whose first request failed."""
    first_bytes: Histogram = field(default_factory=dict)
    """Streamed answers by bucket of the time to their first piece."""

    @property
    def streamed(self) -> float:
        """Answers whose time to the first piece is known."""
        return sum(self.first_bytes.values())

    @property
    def problem(self) -> str:
        """Why the counts are impossible; empty if they are not."""
        for item in fields(self):
            value = getattr(self, item.name)
            numbers = list(value.values()) if isinstance(value, Mapping) else [value]
            wrong = [number for number in numbers if not isfinite(number) or number < 0]
            if wrong:
                return f"{item.name} is {wrong[0]:g}"
        for part, whole in PARTS:
            if getattr(self, part) > getattr(self, whole) * (1 + 1e-9):
                return f"{part} ({getattr(self, part):g}) exceed {whole} ({getattr(self, whole):g})"
        return ""


LATER = ("first_bytes",)
"""Histograms that earlier versions did not write; an empty one is still left out."""
PARTS = (
    ("failures", "requests"),
    ("guardrails", "requests"),
    ("negatives", "feedbacks"),
    ("cost", "priced"),
    ("lack", "valued"),
    ("differing", "compared"),
    ("unit_failures", "units"),
)


@dataclass(frozen=True)
class Units:
    """Distinct units of the stage so far, by arm."""

    candidate: int
    champion: int


@dataclass(frozen=True)
class Facts:
    """What was collected in one tick; `None` means missing, and never counts as good."""

    candidate: Arm | None = None
    champion: Arm | None = None
    epoch: int = 0
    """The epoch of the route that all replicas serve; a block of another epoch is not used."""
    units: Units | None = None
    tripped: bool = False
    """Whether the candidate's circuit breaker is open in any replica."""
    champion_alarm: float = float("-inf")
    """Log evidence of the champion's circuit breaker, the highest of all replicas."""
    smoke: bool | None = None
    """Whether the smoke test of fixed requests passed for the next weight; None: not yet run."""
    fair_salt: bool | None = None
    """Whether shadow balance found a salt; None: not yet measured."""
    missing: str = ""
    """Why something is missing, as text."""

    @property
    def problem(self) -> str:
        """Why the block cannot be used; empty if it can."""
        if self.candidate is None or self.champion is None:
            return self.missing or "counters could not be read"
        for name, arm in (("candidate", self.candidate), ("champion", self.champion)):
            if arm.problem:
                return f"{name}: {arm.problem}"
        return ""


def write_arm(arm: Arm) -> dict[str, Any]:
    """Return an arm's counts as values for a log; nan and infinities become text."""
    found: dict[str, Any] = {}
    for item in fields(Arm):
        value = getattr(arm, item.name)
        if not isinstance(value, Mapping):
            found[item.name] = _write_number(value)
        elif value or item.name not in LATER:
            found[item.name] = {str(bucket): _write_number(n) for bucket, n in value.items()}
    return found


def read_arm(values: Mapping[str, Any]) -> Arm:
    """Build an arm's counts from a log's values."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found[name] = {int(bucket): float(n) for bucket, n in value.items()}
        else:
            found[name] = float(value)
    return Arm(**found)


def _write_number(number: float) -> float | str:
    return number if isfinite(number) else str(number)


def write_facts(facts: Facts) -> dict[str, Any]:
    """Return the facts as values for a log."""
    alarm = facts.champion_alarm
    return {
        **asdict(facts),
        "candidate": write_arm(facts.candidate) if facts.candidate else None,
        "champion": write_arm(facts.champion) if facts.champion else None,
        "champion_alarm": alarm if isfinite(alarm) else str(alarm),
    }


def read_facts(values: Mapping[str, Any]) -> Facts:
    """Build facts from a log's values."""
    found = dict(values)
    for name in ("candidate", "champion"):
        found[name] = read_arm(found[name]) if found[name] else None
    found["units"] = Units(**found["units"]) if found["units"] else None
    found["champion_alarm"] = float(found["champion_alarm"])
    return Facts(**found)
