"""What an evaluation will take, before it starts: calls, tokens, the largest cost, time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

BYTES_A_TOKEN = 4
"""Bytes of English prose in a token: used where no reply of the model is kept to count by."""


@dataclass(frozen=True)
class PlannedCall:
    """One call before it is made; tokens and cost in US dollars are the most that it can use.

    `kept` says that its reply is kept from an earlier evaluation, with what that used: tokens of
    input and output, None where they are not known, and seconds.
    """

    input_tokens: int
    output_tokens: int
    cost: float | None
    kept: bool = False
    used_input: int | None = None
    used_output: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class ModelPace:
    """What kept replies of a model tell: of the most input how much it was, output and seconds."""

    input_share: float
    output: float
    seconds: float

    @classmethod
    def measure(cls, calls: Sequence[PlannedCall]) -> "ModelPace | None":
        """Return the pace of calls of one model; None where no reply with its tokens is kept."""
        rows = [
            (call.used_input, call.input_tokens, call.used_output, call.seconds)
            for call in calls
            if call.kept
        ]
        known = [
            (used, most, out, seconds)
            for used, most, out, seconds in rows
            if used is not None and out is not None and seconds is not None and most
        ]
        if not known:
            return None
        used, most, written, seconds = (sum(column) for column in zip(*known, strict=True))
        return cls(used / most, written / len(known), seconds / len(known))


@dataclass(frozen=True)
class EstimatedPart:
    """One part of an evaluation, such as the cases of a version, and the model that answers it.

    `at_a_time` is the most requests that the model's provider gets at once. `condition` says when
    the part is asked at all; empty: always.
    """

    name: str
    model: str
    calls: tuple[PlannedCall, ...]
    at_a_time: int = 1
    condition: str = ""

    @property
    def made(self) -> list[PlannedCall]:
        """The calls that are made: those without a kept reply."""
        return [call for call in self.calls if not call.kept]

    @property
    def kept(self) -> int:
        """How many replies are kept: they cost nothing."""
        return len(self.calls) - len(self.made)

    @property
    def most_tokens(self) -> int:
        """The most tokens that the calls to make can use, input and output together."""
        return sum(call.input_tokens + call.output_tokens for call in self.made)

    @property
    def most_cost(self) -> float | None:
        """The most that they can cost in US dollars; None where the price is not known."""
        costs = [call.cost for call in self.made]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def guess_tokens(self, pace: ModelPace | None) -> float:
        """Return about how many tokens they use: by kept replies, else by the bytes."""
        given = sum(call.input_tokens for call in self.made)
        if pace is None:
            return given / BYTES_A_TOKEN + sum(call.output_tokens for call in self.made)
        return given * pace.input_share + len(self.made) * pace.output

    def guess_seconds(self, pace: ModelPace | None) -> float | None:
        """Return about how many seconds they take; None where no reply of the model is kept."""
        if not self.made:
            return 0.0
        return None if pace is None else len(self.made) * pace.seconds / self.at_a_time


@dataclass(frozen=True)
class EvaluationEstimate:
    """What the evaluation of a version will take, part by part.

    `spend` is the most that it may cost, in US dollars.
    """

    prompt: str
    version: int
    spend: float
    parts: tuple[EstimatedPart, ...] = field(default_factory=tuple)

    @property
    def calls(self) -> int:
        """Calls in all, of parts that are asked on a condition too."""
        return sum(len(part.calls) for part in self.parts)

    @property
    def most_cost(self) -> float | None:
        """The most that all parts can cost in US dollars; None where a price is not known."""
        costs = [part.most_cost for part in self.parts]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def find_pace(self, model: str) -> ModelPace | None:
        """Return what kept replies of a model tell, from all parts that it answers."""
        calls = [call for part in self.parts if part.model == model for call in part.calls]
        return ModelPace.measure(calls)
