"""The evaluation gate's limits: when a candidate is good enough, and no worse than the champion."""

from typing import Literal

from pydantic import Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section


class Slices(Section):
    """Slices of the held-out rows in which the candidate must not get worse."""

    columns: tuple[str, ...] = ()
    """Each value of each of these columns is a slice."""
    minimum: int = Field(200, ge=20)
    """Fewest rows of a slice that is judged; a smaller slice is listed."""
    margin: float = Field(0.05, gt=0.0)
    """How far the primary metric may fall in a slice, in its own unit."""


class Calibration(Section):
    """How far probabilities may differ from frequencies (binary problems)."""

    gap: float = Field(0.03, gt=0.0, lt=1.0)
    """Largest difference of mean prediction and observed share, in either direction."""
    slope: tuple[float, float] = (0.8, 1.25)
    """Range of the calibration slope: 1 is calibrated, below 1 overconfident (Cox 1958)."""

    @model_validator(mode="after")
    def _range_is_in_order(self) -> "Calibration":
        if self.slope[0] >= self.slope[1]:
            raise KeyInvalid("slope", f"found {list(self.slope)}, allowed: the lower one first")
        return self


class EvaluationConfig(Section):
    """The evaluation gate's limits."""

    primary: str
    """The metric by which candidate and champion are compared."""
    margin: float = Field(0.01, gt=0.0)
    """How much worse than the champion counts as no worse, in the primary metric's unit."""
    floors: dict[str, float] = Field(default_factory=dict)
    """The value that each metric must reach (a ceiling for metrics where less is better)."""
    slices: Slices = Slices()
    calibration: Calibration | None = None
    """Limits on calibration; without them it is shown and not judged."""
    draws: int = Field(2000, ge=200, le=100_000)
    """Bootstrap draws behind each interval."""
    seed: int = Field(0, ge=0)
    """Seed of the bootstrap."""
    group: str = ""
    """Column whose rows are drawn together; empty: each row alone."""
    on_older_data: Literal["fail", "notice"] = "fail"
    """What a candidate means that was trained on an older data version than the champion."""
    on_identical: Literal["fail", "notice"] = "fail"
    """What a candidate means that predicts exactly what the champion predicts."""
    on_insufficient: Literal["halt", "approve"] = "halt"
    """Whether the release halts where the rows do not suffice, or waits for an approval."""
