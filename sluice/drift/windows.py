"""When an alarm opens and closes: m of the last n windows, without flapping.

Pure: a state and a window's outcome give the next state and what changed. Each window counts once,
whoever looks at it and how often: one that is not newer than the last is ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sluice.drift.findings import Kind, Outcome

Change = Literal["opened", "closed", ""]


@dataclass(frozen=True)
class WindowRule:
    """An alarm opens when `alarms` of the last `windows` windows alarm.

    It closes after as many clean windows in a row. Windows that could not be judged do not count.

    Raises:
        ValueError: `alarms` is not between 1 and `windows`.
    """

    alarms: int = 2
    windows: int = 3

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 1 <= self.alarms <= self.windows:
            raise ValueError(
                f"found {self.alarms} of {self.windows} windows, allowed: 1 to {self.windows} "
                f"of {self.windows}"
            )


DEFAULT_RULE = WindowRule()


@dataclass(frozen=True)
class AlarmState:
    """Whether an alarm is open, and the outcomes of the last judged windows, oldest first.

    `last` is the end of the newest window that was looked at, `since` the end of the window that
    opened the alarm; both in seconds since 1970 (UTC), None where there is none.
    """

    is_open: bool = False
    outcomes: tuple[bool, ...] = ()
    last: float | None = None
    since: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        outcomes = ["alarm" if one else "clean" for one in self.outcomes]
        return {"open": self.is_open, "outcomes": outcomes, "last": self.last, "since": self.since}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "AlarmState":
        """Return the state of plain values.

        Raises:
            KeyError: a value is missing.
        """
        outcomes = tuple(one == "alarm" for one in found["outcomes"])
        return cls(bool(found["open"]), outcomes, found["last"], found["since"])


NO_ALARM = AlarmState()


def advance_alarm(
    state: AlarmState, kind: Kind, end: float, outcome: Outcome, rule: WindowRule = DEFAULT_RULE
) -> tuple[AlarmState, Change]:
    """Return the state after a window, and whether the alarm opened or closed with it.

    `end` is the window's end in seconds since 1970. An upstream break opens at once; it closes like
    any other alarm.
    """
    if state.last is not None and end <= state.last:
        return state, ""
    if outcome == "not judged":
        return replace(state, last=end), ""
    outcomes = (*state.outcomes, outcome == "alarm")[-rule.windows :]
    state = replace(state, outcomes=outcomes, last=end)
    if state.is_open:
        clean = outcomes[-rule.alarms :]
        if len(clean) == rule.alarms and not any(clean):
            return replace(state, is_open=False, since=None), "closed"
        return state, ""
    needed = 1 if kind == "upstream" else rule.alarms
    if outcome == "alarm" and sum(outcomes) >= needed:
        return replace(state, is_open=True, since=end), "opened"
    return state, ""
