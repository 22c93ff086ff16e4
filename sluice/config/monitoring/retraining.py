"""What starts a retraining of a service by itself, and what holds it back."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from sluice.config.policy import UNITS, read_duration
from sluice.config.yaml_file import KeyInvalid, Section

TriggerKind = Literal["data", "performance", "drift", "alert", "schedule"]
KINDS: tuple[str, ...] = get_args(TriggerKind)
MOST_LABELS = 10**9
LONGEST_COOL_DOWN = 366 * 86_400.0
EXAMPLE = "a list such as [data, performance], or keys: when, alerts, minimum_labels, cool_down"


def write_duration(seconds: float) -> str:
    """Return a duration as a service's file has it, such as `24 h`, in its largest whole unit."""
    unit = next((unit for unit in ("h", "min") if seconds % UNITS[unit] == 0), "s")
    return f"{seconds / UNITS[unit]:.12g} {unit}"


CoolDown = Annotated[float, BeforeValidator(read_duration), PlainSerializer(write_duration)]
"""Seconds, written with their unit."""


class RetrainConfig(Section):
    """What starts a release by itself; a plain list in the file is `when`."""

    when: tuple[TriggerKind, ...] = ("data", "performance")
    """`data`: a new data version; `performance`: a measured or estimated loss; `drift`: any alarm
    of drift; `alert`: an alert of monitoring; `schedule`: the schedule of `retrain`."""
    alerts: tuple[str, ...] = ()
    """Names of the rules whose alerts count, with `alert`; without names all rules count."""
    minimum_labels: int = Field(500, ge=0, le=MOST_LABELS)
    """Labels that must be new since the champion's training, else a retraining waits; 0 also lets
    it start without new rows. A new data version starts without counting."""
    cool_down: CoolDown = Field(24 * 3600.0, ge=0, le=LONGEST_COOL_DOWN)
    """Time after the start of a release before another cause than new data may start one."""

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        if isinstance(value, dict):  # a list of strict JSON is no tuple behind a validator
            return {key: tuple(one) if isinstance(one, list) else one for key, one in value.items()}
        if isinstance(value, cls):
            return value
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"found {value!r}; allowed: {EXAMPLE}")
        for place, word in enumerate(value):
            if word not in KINDS:
                raise KeyInvalid(str(place), f"found {word!r}; allowed: {', '.join(KINDS)}")
        return {"when": tuple(value)}

    @field_validator("when", "alerts")
    @classmethod
    def _names_each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for place, name in enumerate(names):
            if name in names[:place]:
                raise KeyInvalid(str(place), f"'{name}' is there already")
            if not name.strip():
                raise KeyInvalid(str(place), f"found {name!r}; allowed: the name of a rule")
        return names

    @model_validator(mode="after")
    def _names_rules_of_alerts(self) -> "RetrainConfig":
        if self.alerts and "alert" not in self.when:
            raise KeyInvalid(
                "alerts", "names rules, but `when` has no `alert`; next: add it to `when`"
            )
        return self
