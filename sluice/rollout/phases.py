"""The words of a rollout: its phases, what is decided, and what a person may command."""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a rollout is."""

    PENDING = "pending"
    SHADOW = "shadow"
    CANARY = "canary"
    HOLDING = "holding"
    FROZEN = "frozen"
    PAUSED = "paused"
    SOAK = "soak"
    DONE = "done"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"

    @property
    def is_final(self) -> bool:
        """Whether the rollout is over."""
        return self in FINAL

    @property
    def is_staged(self) -> bool:
        """Whether a stage is under way, moving or not."""
        return self in STAGED


FINAL = frozenset({Phase.DONE, Phase.ROLLED_BACK, Phase.ABORTED})
STAGED = frozenset({Phase.SHADOW, Phase.CANARY, Phase.HOLDING, Phase.FROZEN, Phase.PAUSED})


class Verb(StrEnum):
    """What a step decided."""

    BEGIN = "begin"
    GO_ON = "go on"
    HOLD = "hold"
    PAUSE = "pause"
    FREEZE = "freeze"
    THAW = "thaw"
    ROLL_BACK = "roll back"
    FINISH = "finish"
    OBEY = "obey"
    REFUSE = "refuse"


class Action(StrEnum):
    """What a person may command."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    SKIP = "skip"
    PROMOTE = "promote now"
    ROLL_BACK = "roll back"
    APPROVE = "approve"


@dataclass(frozen=True)
class Command:
    """A person's command, with who gave it and why."""

    action: Action
    by: str
    why: str


@dataclass(frozen=True)
class Decision:
    """What a step decided and why; `rule` is the test that decided, if one did."""

    verb: Verb
    reason: str
    rule: str = ""


ALLOWED: dict[Action, frozenset[Phase]] = {
    Action.PAUSE: STAGED - {Phase.PAUSED, Phase.FROZEN},
    Action.RESUME: frozenset({Phase.PAUSED}),
    Action.ABORT: STAGED | {Phase.PENDING},
    Action.SKIP: STAGED - {Phase.FROZEN},
    Action.PROMOTE: STAGED - {Phase.FROZEN},
    Action.ROLL_BACK: STAGED | {Phase.SOAK},
    Action.APPROVE: STAGED,
}
"""In which phases each command makes sense; elsewhere it is refused with this list."""
