"""A rollout's policy: its stages, their durations, and the rules that stop it or let it advance."""

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
Action = Literal["roll_back", "pause"]
TIMES, STAGE_TIMES = ("block", "history", "soak"), ("min", "max")
PassRule = Literal["error_margin", "latency_margin", "business", "disagreement"]


def read_duration(value: Any) -> Any:
    """Read a duration such as `20 s`, `90 min`, `4 h` or `7 d` as seconds.

    Raises:
        ValueError: it has no number, or an unknown unit.
    """
    found = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", value)
        if isinstance(value, str)
        else None
    )
    if not found:
        raise ValueError(f"found {value!r}; allowed: a number and s, min, h or d, such as 90 min")
    return float(found[1]) * UNITS[found[2]]


Duration = Annotated[float, BeforeValidator(read_duration)]
"""Seconds, written with their unit."""
Alpha = Annotated[float, Field(gt=0, le=0.2)]


class PolicyRule(Section):
    """What every rule has: the action after a rejection, and the error rate of the test."""

    alpha: Alpha = 0.01
    """Highest probability per stage that this rule stops a candidate within the limit."""
    action: Action = "roll_back"


class MarginRule(PolicyRule):
    """The candidate's rate may exceed the champion's by `margin`, in units of the rate."""

    margin: float = Field(gt=0, lt=0.9)


class RatioRule(PolicyRule):
    """The candidate's rate may be `ratio` times the champion's."""

    ratio: float = Field(gt=1, le=100)


class LatencyMargin(PolicyRule):
    """The candidate's P95 may be `ratio` times the champion's, and `min_effect_ms` above it."""

    ratio: float = Field(1.10, gt=1, le=10)
    min_effect_ms: float = Field(5.0, ge=0)


class FirstByteRule(RatioRule):
    """The candidate's P95 of the time to the first piece of a streamed answer.

    It may be `ratio` times the champion's, and `min_effect_ms` above it.
    """

    min_effect_ms: float = Field(50.0, ge=0)


class CostRule(RatioRule):
    """The candidate's cost a request may be `ratio` times the champion's.

    One request counts as `cap` times the champion's mean at most.
    """

    cap: float = Field(20.0, gt=1)


class Business(PolicyRule):
    """The business metric may fall by `margin`; a value counts up to `cap`."""

    metric: str = Field(min_length=1)
    cap: float = Field(gt=0)
    margin: float = Field(gt=0)

    @model_validator(mode="after")
    def _margin_is_below_the_cap(self) -> "Business":
        if self.margin >= self.cap:
            raise KeyInvalid("margin", f"found {self.margin:g}; allowed: below cap ({self.cap:g})")
        return self


class Disagreement(Section):
    """In shadow, the share of answers that may differ from the champion's."""

    limit: float = Field(0.10, gt=0, lt=0.98)
    tolerance: float = Field(0.0, ge=0)
    """Largest absolute difference of two numbers that agree (regression)."""


class Rules(Section):
    """All rules with their limits; all of them are tested in every stage."""

    error_margin: MarginRule = MarginRule(margin=0.005)
    error_rate: MarginRule = MarginRule(margin=0.04, alpha=0.001)
    latency_margin: LatencyMargin = LatencyMargin()
    latency_double: RatioRule = RatioRule(ratio=2.0)
    first_byte: FirstByteRule | Literal["none"] = "none"
    """Of streamed answers alone, as those of prompts."""
    guardrail: RatioRule = RatioRule(ratio=3.0)
    feedback: RatioRule = RatioRule(ratio=2.0, action="pause")
    cost: CostRule = CostRule(ratio=2.0, action="pause")
    business: Business | Literal["none"] = "none"
    disagreement: Disagreement = Disagreement()


class Stage(Section):
    """One stage: the candidate's share of traffic, the duration, and the tests to pass."""

    name: str = Field(min_length=1)
    weight: float = Field(ge=0, lt=1)
    min: Duration
    max: Duration
    passes: tuple[PassRule, ...] = Field(min_length=1)
    on_max: Literal["hold", "roll_back"] = "hold"
    approve: bool = False
    """Whether a person must approve before the next stage."""

    @model_validator(mode="after")
    def _min_is_below_max(self) -> "Stage":
        if not 0 < self.min < self.max:
            raise KeyInvalid("min", f"found {self.min:g} s; allowed: above 0, below max")
        if ("disagreement" in self.passes) != (self.weight == 0):
            raise KeyInvalid(
                "passes", "disagreement is for the stage of weight 0, and for it alone"
            )
        return self


class Policy(Section):
    """How a candidate replaces the champion."""

    policy: str
    description: str = ""
    block: Duration
    """One control tick."""
    history: Duration
    """How much of the champion's traffic before the rollout counts as its history."""
    pass_alpha: Alpha = 0.05
    """Highest probability that a candidate at the limit passes a stage."""
    count: Literal["requests", "units"] = "requests"
    """`units`: the rules on errors count only each unit's first request of the stage."""
    rules: Rules = Rules()
    stages: tuple[Stage, ...] = Field(min_length=1)
    soak: Duration
    """How long the candidate has all traffic before the rollout ends."""

    @model_validator(mode="after")
    def _weights_increase(self) -> "Policy":
        for index, (below, above) in enumerate(zip(self.stages, self.stages[1:], strict=False), 1):
            if above.weight <= below.weight:
                raise KeyInvalid(
                    f"stages.{index}.weight",
                    f"found {above.weight:g}; allowed: above the stage before ({below.weight:g})",
                )
        names = [stage.name for stage in self.stages]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise KeyInvalid(f"stages.{index}.name", f"'{name}' is given twice")
        return self

    @model_validator(mode="after")
    def _passes_can_be_tested(self) -> "Policy":
        for index, stage in enumerate(self.stages):
            if "business" in stage.passes and self.rules.business == "none":
                raise KeyInvalid(
                    f"stages.{index}.passes", "found business, but rules.business is none"
                )
            for key in ("min", "max"):
                if getattr(stage, key) < 2 * self.block:
                    found = getattr(stage, key)
                    allowed = f"two blocks at least ({2 * self.block:g} s)"
                    raise KeyInvalid(
                        f"stages.{index}.{key}", f"found {found:g} s; allowed: {allowed}"
                    )
        return self

    def count_blocks(self, seconds: float) -> int:
        """Return the number of control ticks in a duration, at least one."""
        return max(1, round(seconds / self.block))


def hash_policy(policy: Policy) -> str:
    """Return the hexadecimal sha256 of everything that a policy sets, including defaults.

    A rule that is `none` by default and was added later is left out while it is none: so the hash
    of an earlier policy stays.
    """
    values = policy.model_dump(mode="json", exclude={"description"})
    if policy.rules.first_byte == "none":
        del values["rules"]["first_byte"]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_policy(policy: Policy) -> str:
    """Return a policy as JSON text for `read_policy`, durations with their unit."""
    values = policy.model_dump(mode="json")
    for holder, keys in ((values, TIMES), *((stage, STAGE_TIMES) for stage in values["stages"])):
        holder.update({key: f"{holder[key]} s" for key in keys})
    return json.dumps(values)


def read_policy(text: str) -> Policy:
    """Read what `write_policy` wrote.

    Raises:
        ValidationError: it is not a policy.
    """
    return Policy.model_validate_json(text, strict=True)
