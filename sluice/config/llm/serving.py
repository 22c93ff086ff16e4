"""How prompts and models answer callers: guardrails, budgets, and a cache of answers."""

from typing import Literal

from pydantic import Field, model_validator

from sluice.config.monitoring.rules import MonitoringConfig
from sluice.config.rollout import PromptRolloutConfig
from sluice.config.yaml_file import KeyInvalid, Section
from sluice.control.spending import BudgetPeriod
from sluice.guardrails.actions import GuardrailAction
from sluice.guardrails.inspection import INJECTION, list_guardrails


class GuardrailsConfig(Section):
    """What is looked for in what callers ask and in what they are answered."""

    input: dict[str, GuardrailAction] = Field(default_factory=dict)
    """Group or rule: `block`, `mask` or `flag`, for the variables or turns of a request."""
    output: dict[str, GuardrailAction] = Field(default_factory=dict)
    """The same for answers."""
    stream: Literal["buffer", "window", "end"] = "buffer"
    """`buffer`: nothing leaves before all was judged; `window`: the end is held back; `end`: all
    leaves at once, and is judged afterwards."""
    window: int = Field(400, ge=50, le=20_000)
    """Characters that `window` holds back; a longer hit is not seen as a whole."""

    @model_validator(mode="after")
    def _names_guardrails(self) -> "GuardrailsConfig":
        for side in ("input", "output"):
            known = [name for name in list_guardrails() if name != INJECTION or side == "input"]
            for name in getattr(self, side):
                if name not in known:
                    why = ", which is about what is asked" if name == INJECTION else ""
                    words = f"found '{name}'{why}; allowed: {', '.join(known)}"
                    raise KeyInvalid((side, name), words)
        return self


class PeriodLimits(Section):
    """The most that may be spent in a period by UTC, in US dollars; empty: no limit."""

    day: float | None = Field(None, ge=0, le=1e9)
    week: float | None = Field(None, ge=0, le=1e9)
    month: float | None = Field(None, ge=0, le=1e9)

    def list_limits(self) -> list[tuple[BudgetPeriod, float]]:
        """Return the periods that have a limit."""
        found: list[tuple[BudgetPeriod, float | None]] = [
            ("day", self.day),
            ("week", self.week),
            ("month", self.month),
        ]
        return [(period, limit) for period, limit in found if limit is not None]


class BudgetsConfig(Section):
    """Budgets of one prompt or model."""

    service: PeriodLimits = PeriodLimits()
    """Of all its callers together."""
    key: PeriodLimits = PeriodLimits()
    """Of each API key."""
    user: PeriodLimits = PeriodLimits()
    """Of each user or session (`unit`, `user`, `metadata.user_id`)."""


class AnswerCacheConfig(Section):
    """Answers that are given again to the same question; off by default."""

    seconds: float = Field(0.0, ge=0, le=86_400 * 30)
    """How long an answer is given again; 0 is never."""
    entries: int = Field(1000, ge=1, le=1_000_000)
    """Most answers that one worker keeps."""


class SamplingConfig(Section):
    """Answers that judges and scorers look at after they were given, off the callers' way."""

    share: float = Field(0.05, ge=0, le=1)
    """Share of the answers that is sampled; 0 samples none."""
    answers: int = Field(200, ge=1, le=10_000)
    """Most answers that are sampled in a day, by UTC."""
    spend: float = Field(0.5, ge=0, le=1e6)
    """Most US dollars that judges may cost in a day, by UTC; it counts in the budgets too."""


class PromptMonitoringConfig(MonitoringConfig):
    """How a prompt is monitored: changes of rules, and the answers that are sampled."""

    sampling: SamplingConfig = SamplingConfig()


class LiveConfig(Section):
    """How one prompt or model answers callers."""

    guardrails: GuardrailsConfig = GuardrailsConfig()
    budgets: BudgetsConfig = BudgetsConfig()
    cache: AnswerCacheConfig = AnswerCacheConfig()
    monitoring: PromptMonitoringConfig = PromptMonitoringConfig()
    rollout: PromptRolloutConfig | None = None
    """How a next version of a prompt reaches callers; without it, at once when it is published."""


class LanguageServingConfig(Section):
    """All of `configs/llm/serving.yaml`."""

    defaults: LiveConfig = LiveConfig()
    """Of every prompt and model; a service's own section replaces the one of its name here."""
    services: dict[str, LiveConfig] = Field(default_factory=dict)
    """By the name of a prompt; a model that callers ask itself is `model.NAME`."""

    def of(self, service: str) -> LiveConfig:
        """Return what holds for a service: each of its sections, else that of the defaults."""
        own = self.services.get(service)
        if own is None:
            return self.defaults
        given = {name: getattr(own, name) for name in own.model_fields_set}
        return self.defaults.model_copy(update=given)
