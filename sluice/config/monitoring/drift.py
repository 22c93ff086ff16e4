"""How the traffic of the serving version is compared with a reference."""

from typing import Literal

from pydantic import Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

ReferenceName = Literal["training", "trailing", "same_weekday"]
"""`training`: the version's training rows, and its outputs on held-out rows. `trailing`: its
answers in the days before the window. `same_weekday`: its answers in the same hours of earlier
weeks."""


class DriftConfig(Section):
    """Windows of live traffic, what they are compared with, and when an alarm opens."""

    reference: ReferenceName = "training"
    """What a window is compared with."""
    trailing_days: float = Field(7.0, ge=0.05, le=90.0)
    """Days before the window that are the reference `trailing`."""
    weeks: int = Field(4, ge=1, le=26)
    """Earlier weeks whose windows are the reference `same_weekday`."""
    window_hours: float = Field(1.0, ge=0.005, le=168.0)
    """Length of a window; windows lie side by side, counted from 1970-01-01 00:00 UTC."""
    alarms: int = Field(2, ge=1, le=100)
    """Windows with a finding, of the last `windows`, that open an alarm; as many clean ones in a
    row close it. A break of the pipeline before the model opens at once."""
    windows: int = Field(3, ge=1, le=100)
    """The last windows that are counted for an alarm."""
    joint: bool = True
    """Whether a classifier also looks at all features together; some seconds a window."""
    settle_seconds: float = Field(120.0, ge=0.0, le=86_400.0)
    """Seconds after its end from which a window is judged: every replica's log is there then."""
    catch_up: int = Field(48, ge=1, le=10_000)
    """Most windows that one run judges, oldest first, after a time without runs."""

    @model_validator(mode="after")
    def _alarm_can_open(self) -> "DriftConfig":
        if self.alarms > self.windows:
            raise KeyInvalid("alarms", f"found {self.alarms}, allowed: 1 to {self.windows} windows")
        return self
