"""The evaluation gate's limits: when a candidate is good enough, and no worse than the champion."""

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

LEAST_RECENT = 100
"""Fewest rows that `recent` may name: bootstrap bounds of fewer are not reliable."""
SECONDS = {"h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
"""Seconds of each unit of a time that `recent` may name."""


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


class Plausibility(Section):
    """When a model is so good that a person has to accept it."""

    share: float = Field(0.98, gt=0.5, le=1.0)
    """Share of a constant answer's loss from which a person is asked: of the pairs that it leaves
    in no order (classes), or of its squared error (numbers). At .98 that is an area under the ROC
    curve of .99, or an R2 of .98: trees that find a leak of two columns in 1,500 rows reach no
    more, and features of real data seldom do."""
    accepted: str = ""
    """Why such a model is honest; with a reason nobody is asked."""

    @field_validator("accepted")
    @classmethod
    def _reason_has_words(cls, reason: str) -> str:
        if reason and not reason.strip():
            raise ValueError("found blanks, allowed: a reason in words, or nothing")
        return reason.strip()


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
    plausibility: Plausibility = Plausibility()
    draws: int = Field(2000, ge=200, le=100_000)
    """Bootstrap draws behind each interval."""
    seed: int = Field(0, ge=0)
    """Seed of the bootstrap."""
    group: str = ""
    """Column whose rows are drawn together; empty: each row alone."""
    recent: str | int = Field("", exclude_if=lambda value: value == "")
    """The newest held-out rows, which alone decide in the evaluation and the bias gate: those of a
    time before the data's newest row (`90 d`; units h, d, w), or so many rows (`3000`). The older
    ones are shown beside them. Empty: all held-out rows decide. Needs `data.time`."""
    on_older_data: Literal["fail", "notice"] = "fail"
    """What a candidate means that was trained on an older data version than the champion."""
    on_identical: Literal["fail", "notice"] = "fail"
    """What a candidate means that predicts exactly what the champion predicts."""
    on_insufficient: Literal["halt", "approve"] = "halt"
    """Whether the release halts where the rows do not suffice, or waits for an approval."""

    @field_validator("recent", mode="before")
    @classmethod
    def _recent_is_a_time_or_a_number(cls, value: Any) -> Any:
        return check_recent(value)

    @property
    def recent_seconds(self) -> float | None:
        """The time that `recent` names, in seconds; None where it names rows, or nothing."""
        return read_span(self.recent)

    @property
    def recent_rows(self) -> int | None:
        """The number of rows that `recent` names; None where it names a time, or nothing."""
        return self.recent if isinstance(self.recent, int) else None


def check_recent(value: Any) -> Any:
    """Return what names the newest rows: a time such as `90 d`, or a number of rows; or nothing.

    Raises:
        ValueError: it is none of these.
    """
    is_rows = isinstance(value, int) and not isinstance(value, bool)
    if value == "" or (is_rows and value >= LEAST_RECENT):
        return value
    if is_rows or read_span(value) is None:
        raise ValueError(
            f"found {value!r}; allowed: a time such as 90 d (units h, d, w), or a number of "
            f"rows from {LEAST_RECENT} on, such as 3000"
        )
    return value


def read_span(value: Any) -> float | None:
    """Return a time such as `36 h`, `90 d` or `2 w` in seconds; None for anything else, and 0."""
    found = re.fullmatch(
        r"\s*(\d{1,6}(?:\.\d+)?)\s*([hdw])\s*", value if isinstance(value, str) else ""
    )
    seconds = float(found[1]) * SECONDS[found[2]] if found else 0.0
    return seconds or None
