"""Which features leak the target: what is left out, what is kept, and what a person must check."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import Problem
from sluice.data.leakage import (
    EXACT,
    FeaturePower,
    estimate_gain,
    estimate_order,
    estimate_power,
    find_pattern,
    has_few_values,
    measure_leakage,
)
from sluice.errors import ChoiceNeeded

if TYPE_CHECKING:
    import pandas as pd

LEAKAGE_LIMIT = 0.9
SUSPECT = 0.7
"""Power on all rows from which older and newest rows are compared."""
MANY_CLASSES = 8
"""Classes from which a value of one class only is most often a trait, not a code of the outcome."""
FADED = 0.1
"""Fall of the power on the newest rows by which a leak shows: they are not filled in yet."""


@dataclass(frozen=True)
class StrongFeature:
    """A feature whose power alone is above the limit, and the reason why it is kept or left out.

    `doubtful`: both answers are likely, so a person should decide.
    """

    power: FeaturePower
    kept: bool
    reason: str
    doubtful: bool = False

    @property
    def name(self) -> str:
        """The column."""
        return self.power.feature


@dataclass(frozen=True)
class LeakageDecision:
    """The power of each feature that is kept, and the decision on each strong one."""

    powers: tuple[FeaturePower, ...]
    strong: tuple[StrongFeature, ...]

    @property
    def left_out(self) -> tuple[StrongFeature, ...]:
        """The strong features that are left out."""
        return tuple(item for item in self.strong if not item.kept)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The strong features that are kept, for `data.leakage.allowed`."""
        return tuple(item.name for item in self.strong if item.kept)


def find_leaks(
    frame: "pd.DataFrame",
    newest: NDArray[np.bool_] | None,
    features: tuple[str, ...],
    target: str,
    problem: Problem,
    keep: tuple[str, ...] = (),
) -> LeakageDecision:
    """Measure each feature as the data gate does, and decide on each that is above the limit.

    `newest`, shape (n,), marks the newest rows where the rows have an order in time. `keep` names
    features that a person checked. Above the limit a feature is left out where it looks like a
    leak: as good as the target itself; one of few values or a gap that says the outcome; or strong
    on older rows and weak on the newest, which are not filled in yet. A measurement with many
    values is kept, and shown; so is one that few rows show below the limit, and more above it.

    Raises:
        ChoiceNeeded: every feature would be left out.
    """
    import pandas as pd

    new = pd.Series(False if newest is None else newest, index=frame.index)
    powers = measure_leakage(frame, new, features, target, problem)
    strong = []
    for item in powers:
        faded = ""
        if newest is not None and (item.power or 0.0) > SUSPECT:
            faded = _find_fading(frame, newest, item.feature, target, problem)
        if (item.power or 0.0) > LEAKAGE_LIMIT or faded:
            strong.append(_decide(frame, item, faded, target, problem, keep))
        elif reason := _foresee(frame, item, target, problem):
            strong.append(StrongFeature(item, True, reason))
    gone = {item.name for item in strong if not item.kept}
    if len(gone) == len(powers):
        listed = "; ".join(f"{item.name}: {item.reason}" for item in strong)
        raise ChoiceNeeded(
            f"every feature leaks the target ({listed}): bring columns that are known before the "
            "outcome, or name those that are with --keep"
        )
    return LeakageDecision(
        tuple(item for item in powers if item.feature not in gone), tuple(strong)
    )


def _decide(
    frame: "pd.DataFrame",
    item: FeaturePower,
    faded: str,
    target: str,
    problem: Problem,
    keep: tuple[str, ...],
) -> StrongFeature:
    power = item.power or 0.0
    start = f"power {power:.3f} alone on {item.part}"
    if item.feature in keep:
        return StrongFeature(item, True, f"{start}, kept as given: known before the outcome")
    if faded:
        return StrongFeature(item, False, f"target leakage: {faded}", True)
    if problem == "multiclass" and (trait := _find_trait(frame[item.feature], frame[target])):
        return StrongFeature(item, True, f"{start}, {trait}; check when it is filled in", True)
    if power > EXACT:
        return StrongFeature(item, False, f"target leakage: {start}, as good as the target itself")
    if clue := _find_code(frame, item.feature, target, problem):
        return StrongFeature(item, False, f"target leakage: {start}, {clue}", True)
    reason = f"{start}, a measurement of many values: no sign of a leak; check when it is filled in"
    return StrongFeature(item, True, reason, True)


def _find_trait(values: "pd.Series[Any]", target: "pd.Series[Any]") -> str:
    """Return how words are a trait of some of many classes; empty where they tell the outcome.

    Numbers and gaps are no traits: they may be filled in for one outcome only.
    """
    classes, gain = target.nunique(), estimate_gain(values, target)
    if values.dtype.kind in "iufM" or classes < MANY_CLASSES or gain is None:
        return ""
    gaps = estimate_power(values.isna(), target, "multiclass")
    if gain > LEAKAGE_LIMIT or (gaps is not None and gaps[0] > LEAKAGE_LIMIT):
        return ""
    return f"{gain:.3f} over all {classes} classes: a trait of some of them"


def _foresee(frame: "pd.DataFrame", item: FeaturePower, target: str, problem: Problem) -> str:
    """Return why a feature will be above the limit once the table has more rows; else nothing."""
    order = estimate_order(frame[item.feature], frame[target], problem)
    if item.power is None or order is None or order <= LEAKAGE_LIMIT:
        return ""
    return (
        f"power {item.power:.3f} alone on {item.part}, {order:.3f} by its order: with more rows it "
        "is above the limit; a measurement of many values: no sign of a leak"
    )


def _find_fading(
    frame: "pd.DataFrame",
    newest: NDArray[np.bool_],
    feature: str,
    target: str,
    problem: Problem,
) -> str:
    """Return how the power fell from the older to the newest rows; empty where it did not."""
    found = [
        estimate_power(frame.loc[part, feature], frame.loc[part, target], problem)
        for part in (~newest, newest)
    ]
    older, later = found
    if older is None or later is None or older[0] <= LEAKAGE_LIMIT:
        return ""
    if later[0] > LEAKAGE_LIMIT or older[0] - later[0] < FADED:
        return ""
    return (
        f"power {older[0]:.3f} on older rows and {later[0]:.3f} on the newest: "
        "it is filled in after the outcome"
    )


def _find_code(frame: "pd.DataFrame", feature: str, target: str, problem: Problem) -> str:
    """Return how a column's few values, or its gaps, tell the outcome; empty where they do not."""
    import pandas as pd

    values = frame[feature]
    if values.dtype.kind not in "f" and has_few_values(values):
        return f"and only {values.nunique():,} different values: they may code the outcome"
    pattern = pd.Series(find_pattern(values), index=values.index)
    found = estimate_power(pattern, frame[target], problem)
    if found is not None and found[0] > LEAKAGE_LIMIT:
        return "and its gaps or its most frequent value alone tell the outcome"
    return ""
