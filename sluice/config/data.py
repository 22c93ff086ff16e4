"""Which data a service learns from, and what its columns mean."""

from typing import Literal

from pydantic import Field, model_validator

from sluice.config.section import KeyInvalid, Section

ColumnKind = Literal["integer", "number", "text", "boolean", "timestamp"]


class Leakage(Section):
    """When a single feature knows the answer too well to be honest."""

    limit: float = Field(0.9, gt=0.5, le=1.0)
    """Highest predictive power of one feature alone: area under the ROC curve, .5 to 1 (the best
    class against the rest for multiclass; (1 + R2) / 2 for regression)."""
    allowed: tuple[str, ...] = ()
    """Features that may exceed it, because somebody looked."""


class DataConfig(Section):
    """The columns of the service's table and the rules that its data must keep."""

    id: str
    """Column that names a row once and for ever; the split hangs on it."""
    time: str = ""
    """Column that orders the rows in time; empty when there is none."""
    target: str
    """Column to predict."""
    positive: str | int | bool = 1
    """The target's value that counts as positive (binary problems)."""
    columns: dict[str, ColumnKind]
    """Every column and its kind; a file with others, or without one of these, is refused."""
    features: tuple[str, ...] = Field(min_length=1)
    """The columns that the model sees."""
    suite: str
    """Name of the expectation suite in `gx/expectations`."""
    minimum_rows: int = Field(500, ge=50)
    """Fewest rows that a release starts with."""
    leakage: Leakage = Leakage()

    @model_validator(mode="after")
    def _columns_are_known(self) -> "DataConfig":
        named = {"id": self.id, "target": self.target, **({"time": self.time} if self.time else {})}
        named |= {f"features.{index}": name for index, name in enumerate(self.features)}
        for key, column in named.items():
            if column not in self.columns:
                allowed = ", ".join(self.columns)
                raise KeyInvalid(key, f"no column '{column}'; allowed: {allowed}")
        if self.target in self.features or self.id in self.features:
            raise KeyInvalid("features", "the target and the id cannot be features")
        if len(set(self.features)) < len(self.features):
            raise KeyInvalid("features", "a column is listed twice")
        return self
