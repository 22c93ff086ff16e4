"""One experiment: hypothesis, metrics, error rates, split; a file of `configs/experiments`."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from sluice.config.policy import Duration
from sluice.config.yaml_file import KeyInvalid, Section

Source = Literal[
    "requests", "failed", "fallback", "guardrail", "latency_ms", "first_byte_ms", "cost",
    "input_tokens", "output_tokens", "rating", "positive", "negative", "value", "label",
]  # fmt: skip
"""What of the traffic log a metric counts."""
SOURCES: tuple[str, ...] = get_args(Source)
FROM_FEEDBACK = ("rating", "positive", "negative", "value", "label")
"""Sources that callers send later, as feedback."""
FLAGS = ("failed", "fallback", "guardrail", "positive", "negative")
Shape = Literal["rate", "mean", "ratio"]
Side = Literal["higher", "lower"]
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MOST_SEGMENTS = 5


class MetricConfig(Section):
    """A metric per unit: the share of units with it, its sum per unit, or its rate per request."""

    name: str = Field(min_length=1, max_length=60)
    source: Source
    shape: Shape
    better: Side
    cap: float | None = Field(None, gt=0)
    """Largest sum of a unit that counts; with `mean` only."""

    @model_validator(mode="after")
    def _cap_is_of_a_mean(self) -> "MetricConfig":
        if self.cap is not None and self.shape != "mean":
            raise KeyInvalid("cap", f"found a cap with shape {self.shape}; allowed: with mean")
        return self


class GuardrailConfig(MetricConfig):
    """A metric that may get worse by `margin` at most, in its own unit; else the test ends."""

    margin: float = Field(0.0, ge=0)
    alpha: float = Field(0.01, gt=0, le=0.1)
    """Highest probability that this guardrail ends an experiment whose arms are equal."""

    @model_validator(mode="after")
    def _margin_fits_a_rate(self) -> "GuardrailConfig":
        if self.shape == "rate" and self.margin >= 1:
            raise KeyInvalid("margin", f"found {self.margin:g}; allowed for a rate: below 1")
        return self


class AssumedTraffic(Section):
    """What a plan takes where no traffic was logged yet, as said by a person."""

    mean: float
    """The primary metric in the control, per unit (per request where it is a ratio)."""
    deviation: float | None = Field(None, gt=0)
    """Standard deviation of one unit; for a rate it follows from the mean."""
    units_a_day: float = Field(gt=0)


class ExperimentConfig(Section):
    """One experiment on one service; both arms are versions of it."""

    experiment: str
    service: str = Field(min_length=1)
    mode: Literal["ab", "aa"] = "ab"
    """`aa` sends both arms to the champion, and tries everything else."""
    hypothesis: str = Field(min_length=10, max_length=500)
    primary: MetricConfig
    secondary: tuple[MetricConfig, ...] = Field((), max_length=20)
    guardrails: tuple[GuardrailConfig, ...] = Field((), max_length=20)
    minimum_detectable_effect: float = Field(gt=0, le=10)
    """Relative to the control: .05 is five percent."""
    alpha: float = Field(0.05, gt=0, le=0.2)
    power: float = Field(0.8, ge=0.5, lt=1)
    unit: Literal["user", "session", "request"] = "user"
    split: float = Field(0.10, gt=0, lt=1)
    """The treatment's share of units."""
    looks: Literal["fixed", "sequential"] = "fixed"
    """`fixed`: one test at the end. `sequential`: looks at any time, with more units planned."""
    window: Duration = 86_400.0
    """Seconds after a unit's first request in which its requests count; then it is complete."""
    wait: Duration = 0.0
    """Seconds after the window in which feedback is still waited for."""
    period: Duration = 7 * 86_400.0
    """The duration is rounded up to whole periods."""
    block: Duration = 86_400.0
    """Units that enter within a block are one step of a sequential test of rates."""
    check: Duration = 3_600.0
    """Seconds between two checks of sample ratio and guardrails while it runs."""
    history: Duration = 14 * 86_400.0
    """How far back a plan reads the traffic."""
    cuped: Duration | None = None
    """Seconds before the start from which each unit's covariate comes; null: none."""
    segments: tuple[str, ...] = Field((), max_length=MOST_SEGMENTS)
    """Input columns by which the sample ratio is checked and the result explored."""
    assumed: AssumedTraffic | None = None

    @field_validator("experiment")
    @classmethod
    def _name_fits_a_key(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"found '{name}'; allowed: 1 to 63 lower-case letters, digits and dashes"
            )
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> "ExperimentConfig":
        names = [metric.name for metric in self.list_metrics()]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise KeyInvalid("primary", f"found the name {doubles[0]} twice; allowed: once each")
        for key in ("window", "period", "block", "check", "history"):
            if getattr(self, key) <= 0:
                raise KeyInvalid(key, "found 0; allowed: more than 0 seconds")
        if self.cuped is not None and self.cuped <= 0:
            raise KeyInvalid("cuped", "found 0; allowed: more than 0 seconds, or no key")
        if self.cuped and self.unit == "request":
            raise KeyInvalid("cuped", "found it with unit request; allowed: with user or session")
        if self.cuped and self.looks == "sequential" and self.primary.shape == "rate":
            raise KeyInvalid(
                "cuped",
                "found it with a sequential rate, whose test takes none; allowed: looks: fixed",
            )
        if self.assumed and not self._can_assume(self.assumed):
            raise KeyInvalid(
                "assumed",
                "found no deviation, or a rate that is not between 0 and 1; allowed: a rate's mean "
                "between 0 and 1, else mean and deviation",
            )
        return self

    def _can_assume(self, assumed: AssumedTraffic) -> bool:
        if self.primary.shape == "rate":
            return 0 < assumed.mean < 1
        return assumed.deviation is not None and assumed.mean != 0

    def list_metrics(self) -> Sequence[MetricConfig]:
        """Return all metrics, the primary one first."""
        return (self.primary, *self.secondary, *self.guardrails)

    @property
    def needs_feedback(self) -> bool:
        """Whether a metric comes from callers' feedback."""
        return any(metric.source in FROM_FEEDBACK for metric in self.list_metrics())


def hash_experiment(config: ExperimentConfig) -> str:
    """Return the hexadecimal sha256 of all that an experiment's file says."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
