"""Rules of monitoring, and what a service's own file says about them."""

import re
from math import inf
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
MOST_ROWS = 10**9
MOST_SECONDS = 31 * 86_400
"""Longest duration of a rule: the traffic log is kept for 30 days by default."""
Severity = Literal["critical", "warning", "info"]
Audience = Literal["models", "prompts", "all"]
SERVICE = "SERVICE"
"""Stands for the service's name in the commands of a runbook."""
RULE_NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
FIGURES = ("sla_ms",)
"""Limits that a rule may take from the service's file, by their key under `monitoring`."""


def read_time_span(value: Any) -> Any:
    """Read a duration such as `30 s`, `5 min`, `24 h` or `7 d` as seconds; 0 is no time.

    Raises:
        ValueError: it has no number, an unknown unit, or is longer than 31 days.
    """
    if value == 0 and not isinstance(value, bool):
        return 0.0
    text = value if isinstance(value, str) else ""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", text)
    if not found:
        raise ValueError(f"found {value!r}; allowed: a number and s, min, h or d, such as 5 min")
    seconds = float(found[1]) * UNITS[found[2]]
    if seconds > MOST_SECONDS:
        raise ValueError(f"found {value!r}; allowed: at most 31 d")
    return seconds


TimeSpan = Annotated[float, BeforeValidator(read_time_span)]
"""Seconds, written with their unit."""
Limit = float | Literal["sla_ms"]
"""A number in the signal's unit, or the key of the service's file that has it."""


class Runbook(Section):
    """What a person reads who is woken by the alert; a sentence each."""

    means: str = Field(min_length=10)
    look: str = Field(min_length=10)
    do: str = Field(min_length=10)

    def name_service(self, service: str) -> "Runbook":
        """Return it with a service's name in place of the word SERVICE: its commands can be run."""
        return Runbook(**{name: text.replace(SERVICE, service) for name, text in self})


class MonitoringRule(Section):
    """One rule: which signal, its limit, how long it must last, and what a person does."""

    title: str = Field(min_length=3)
    definition: str = Field(min_length=20)
    """What exactly is measured, and what the limit means."""
    signal: str
    """Name of a signal, as `sluice/monitoring/signals.py` lists them."""
    applies_to: Audience = "models"
    enabled: bool = True
    above: Limit | None = None
    """The rule is broken above this limit."""
    below: Limit | None = None
    """The rule is broken below this limit."""
    by: Literal["value", "bound"] = "value"
    """`bound`: not the value itself must be beyond the limit, but the end of its interval."""
    confirmed: bool = False
    """Whether the measuring part's own test must also have found something."""
    window: TimeSpan = 300.0
    """Seconds of traffic that a value is computed of; a recorded signal has its own window."""
    minimum: int = Field(0, ge=0, le=MOST_ROWS)
    """Fewest requests or rows; with fewer the rule is not judged."""
    for_: TimeSpan = Field(0.0, alias="for")
    """How long the rule must be broken before the alert is raised."""
    keep_firing_for: TimeSpan = 0.0
    """How long the rule must hold again before the alert is resolved."""
    severity: Severity = "warning"
    runbook: Runbook

    def name_service(self, service: str) -> "MonitoringRule":
        """Return it with a service's name in its runbook's commands."""
        return self.model_copy(update={"runbook": self.runbook.name_service(service)})

    @field_validator("signal")
    @classmethod
    def _is_signal(cls, name: str) -> str:
        from sluice.monitoring.signals import SIGNALS

        if name not in SIGNALS:
            raise ValueError(f"found '{name}'; allowed: {', '.join(SIGNALS)}")
        return name

    @model_validator(mode="after")
    def _has_one_limit(self) -> "MonitoringRule":
        if (self.above is None) == (self.below is None):
            found = "neither" if self.above is None else "both"
            raise ValueError(f"found {found} of above and below; allowed: one of them")
        if self.window < 60 or self.window % 60:
            raise KeyInvalid("window", f"found {self.window:g} s; allowed: whole minutes")
        if misfit := find_misfit(self):
            raise KeyInvalid(*misfit)
        return self

    def merge(self, change: "RuleChange") -> "MonitoringRule":
        """Return the rule as a service has it; what its change leaves out stays."""
        given = change.model_fields_set - {"reason"}
        values = change.model_dump(exclude_none=True, include=given)
        return self.model_copy(update=values)


def find_misfit(rule: MonitoringRule) -> tuple[str, str] | None:
    """Return a key that does not fit the rule's signal, and why; None where all fit.

    A rule must be able to be broken and to hold: a limit that no figure reaches never raises an
    alert, and one that every figure is beyond never resolves it.
    """
    from sluice.monitoring.signals import SIGNALS, Origin

    kind, given = SIGNALS[rule.signal], rule.model_fields_set
    if "window" in given and not kind.has_window:
        return "window", f"found {rule.window:g} s; allowed: none, `{rule.signal}` has its own"
    if rule.minimum and not kind.has_rows:
        return "minimum", f"found {rule.minimum}; allowed: none, `{rule.signal}` counts no rows"
    if kind.origin is not Origin.RECORDED and (rule.by == "bound" or rule.confirmed):
        words = f"`{rule.signal}` has neither interval nor test"
        if rule.by == "bound":
            return "by", f"found bound; allowed: value, {words}"
        return "confirmed", f"found true; allowed: false, {words}"
    return _find_limit_misfit(rule, kind.unit, kind.lowest, kind.highest)


def _find_limit_misfit(
    rule: MonitoringRule, unit: str, lowest: float, highest: float
) -> tuple[str, str] | None:
    key = "above" if rule.above is not None else "below"
    limit = rule.above if rule.above is not None else rule.below
    if isinstance(limit, str):
        words = f"found '{limit}', which is in ms; allowed: a number, `{rule.signal}` is none in ms"
        return None if unit == "ms" else (key, words)
    if limit is None:
        return None
    if key == "below" and rule.signal == "requests" and rule.minimum >= limit:
        return "minimum", f"found {rule.minimum}; allowed: less than the limit below, {limit:g}"
    too_low = limit < lowest or (key == "below" and limit == lowest)
    too_high = limit > highest or (key == "above" and limit == highest)
    if not too_low and not too_high:
        return None
    always = too_low if key == "above" else too_high
    fires = "fire always" if always else "never fire"
    allowed = _describe_range(key, lowest, highest)
    return key, f"found {limit:g}, it would {fires}; allowed for `{rule.signal}`: {allowed}"


def _describe_range(key: str, lowest: float, highest: float) -> str:
    low = f"{'from' if key == 'above' else 'more than'} {lowest:g}" if lowest > -inf else ""
    high = f"{'less than' if key == 'above' else 'up to'} {highest:g}" if highest < inf else ""
    return " and ".join(filter(None, (low, high))) or "a number"


class RuleChange(Section):
    """What a service changes of a rule; a key that is left out stays as the rule has it."""

    enabled: bool | None = None
    above: Limit | None = None
    below: Limit | None = None
    window: TimeSpan | None = None
    minimum: int | None = Field(None, ge=0, le=MOST_ROWS)
    for_: TimeSpan | None = Field(None, alias="for")
    keep_firing_for: TimeSpan | None = None
    severity: Severity | None = None
    reason: str = Field(min_length=5)
    """Why this service differs; it is shown beside the rule."""


class MonitoringConfig(Section):
    """A service's own part: figures that only its owner knows, and changes of rules."""

    sla_ms: float | None = Field(None, gt=0, le=600_000)
    """Milliseconds that the 95th percentile of its answers may take."""
    capacity: float | None = Field(None, gt=0, le=1e7)
    """Requests a second that its gateways can answer together."""
    rules: dict[Annotated[str, Field(pattern=RULE_NAME)], RuleChange] = Field(default_factory=dict)


class RuleBook(Section):
    """All rules by name: `configs/monitoring/rules.yaml`."""

    rules: dict[Annotated[str, Field(pattern=RULE_NAME)], MonitoringRule] = Field(min_length=1)
