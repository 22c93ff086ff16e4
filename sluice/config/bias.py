"""The bias gate's limits: how much the treatment of groups of people may differ."""

from typing import Literal

from pydantic import Field, model_validator

from sluice.config.yaml_file import Section


class BiasConfig(Section):
    """The bias gate's limits."""

    sensitive: tuple[str, ...] | Literal["none"]
    """Columns that name the groups; `none` with a reason when there are none."""
    reason: str = ""
    """The reason why there is no sensitive column; needed with `sensitive: none`."""
    pairs: bool = True
    """Whether the groups of each pair of sensitive columns are judged too."""
    favourable: str | int | bool | None = None
    """The class that is good for a person: selection means that it is predicted. Needed for several
    classes; a binary problem without it takes the positive class, and each verdict says so."""
    selection_ratio: float = Field(0.8, gt=0.0, le=1.0)
    """Least ratio of a group's selection rate to that of the rest (four-fifths rule)."""
    true_positive_difference: float = Field(-0.1, ge=-1.0, le=0.0)
    """Lowest difference of true-positive rates, group minus rest; positive means favourable."""
    false_positive_difference: float = Field(0.15, ge=0.0, le=1.0)
    """Largest difference of false-positive rates, in either direction."""
    loss_ratio: float = Field(1.25, ge=1.0)
    """Largest ratio of mean absolute errors, group to rest (regression)."""
    minimum_group: int = Field(100, ge=10)
    """Fewest rows of a group that is judged alone; smaller groups are pooled."""
    minimum_positives: int = Field(50, ge=10)
    minimum_negatives: int = Field(50, ge=10)
    draws: int = Field(2000, ge=200, le=100_000)
    """Bootstrap draws behind each standard error."""
    seed: int = Field(0, ge=0)
    on_unproved: Literal["list", "halt"] = "list"
    """Whether a check that the rows cannot prove is listed, or halts the release."""
    mitigation: Literal["none", "reweigh"] = "none"
    """`reweigh`: training rows are weighted so that group and label are independent."""

    @model_validator(mode="after")
    def _none_has_a_reason(self) -> "BiasConfig":
        if self.sensitive == "none" and not self.reason.strip():
            raise ValueError("`sensitive: none` needs a `reason`")
        if self.sensitive == ():
            raise ValueError("`sensitive` is empty: name columns, or set `none` with a `reason`")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The sensitive columns; empty when there are none."""
        return () if isinstance(self.sensitive, str) else self.sensitive
