"""A gate's verdict: outcome, checks, reason and next step, kept after the run as JSON."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

PLAUSIBILITY = "plausibility"
"""First word of the name of a check that no further rows decide, but a person."""


class Outcome(StrEnum):
    """The outcome of a check or of a gate; a check that is `listed` decides nothing."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    LISTED = "listed"


@dataclass(frozen=True)
class Check:
    """One figure compared with one limit.

    `measured` is the point estimate, `interval` its (lower, upper) bounds, `limit` the number that
    it is compared with by `relation` (`>=`, `<=`, `>`), `n` the number of rows behind it. `note`
    adds what the numbers do not show. A figure that could not be measured is None.
    """

    name: str
    outcome: Outcome
    measured: float | None = None
    interval: tuple[float, float] | None = None
    limit: float | None = None
    relation: str = ""
    unit: str = ""
    n: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """A gate's verdict: its outcome, every check, the reason, and what to do next."""

    gate: str
    outcome: Outcome
    checks: tuple[Check, ...]
    reason: str
    next_step: str
    notices: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the release may continue."""
        return self.outcome is Outcome.PASS

    @property
    def asks_person(self) -> bool:
        """Whether nothing stops the release but a question that only a person can answer."""
        open_ones = [item for item in self.checks if item.outcome is Outcome.INSUFFICIENT]
        asked = all(item.name.startswith(PLAUSIBILITY) for item in open_ones)
        return self.outcome is Outcome.INSUFFICIENT and bool(open_ones) and asked

    @property
    def message(self) -> str:
        """One line for a run's state: first the reason, then the next step."""
        return f"{self.reason}; next: {self.next_step}" if self.next_step else self.reason

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Verdict":
        """Return the verdict that `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
        """
        checks = tuple(_read_check(item) for item in values["checks"])
        return cls(
            gate=values["gate"],
            outcome=Outcome(values["outcome"]),
            checks=checks,
            reason=values["reason"],
            next_step=values["next_step"],
            notices=tuple(values.get("notices", ())),
        )


def _read_check(values: dict[str, Any]) -> Check:
    interval = values.get("interval")
    fields = {**values, "outcome": Outcome(values["outcome"])}
    fields["interval"] = (interval[0], interval[1]) if interval else None
    return Check(**fields)


def decide_outcome(checks: tuple[Check, ...]) -> Outcome:
    """Return the gate's outcome: fail before insufficient before pass, of any check."""
    outcomes = {check.outcome for check in checks}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.INSUFFICIENT if Outcome.INSUFFICIENT in outcomes else Outcome.PASS
