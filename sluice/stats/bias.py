"""Evidence of the bias gate: how each group of people is treated on the held-out rows."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.bias import BiasConfig
from sluice.config.model import Problem
from sluice.stats.fairness import (
    FairnessFigure,
    Group,
    form_groups,
    measure_classification,
    measure_regression,
)
from sluice.stats.holdout import Holdout, Predictions, find_gaps, mark_class, name_values


@dataclass(frozen=True)
class GroupSize:
    """A group and its number of rows; `members` are the small groups that a pool joins."""

    name: str
    n: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class FairnessSummary:
    """One fairlearn figure over all values of a column, small ones too; it is not judged."""

    column: str
    name: str
    value: float | None


@dataclass(frozen=True)
class BiasEvidence:
    """Everything that the bias gate judges, with the number of rows behind each figure.

    `missing` lists, in sentences, the evidence that is missing, such as a sensitive column.
    `reason` is the configured reason why there is no sensitive column. `favourable` is the class
    that counts as good for a person; `assumed` says that no configuration names it. Where only the
    newest rows decide, `older` has the same figures of the `older_rows` others.
    """

    problem: Problem
    n: int
    columns: tuple[str, ...]
    reason: str = ""
    missing: tuple[str, ...] = ()
    groups: tuple[GroupSize, ...] = ()
    figures: tuple[FairnessFigure, ...] = ()
    summaries: tuple[FairnessSummary, ...] = ()
    favourable: str | int | float | bool | None = None
    assumed: bool = False
    older_rows: int | None = None
    older: tuple[FairnessFigure, ...] = ()

    def find_older(self, figure: FairnessFigure) -> FairnessFigure | None:
        """Return a figure's counterpart on the older rows; None where it was not measured."""
        return next(
            (
                one
                for one in self.older
                if (one.kind, one.group) == (figure.kind, figure.group) and one.judged
            ),
            None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-ready values."""
        return asdict(self)


def measure_bias(
    config: BiasConfig,
    problem: Problem,
    favourable: Any,
    holdout: Holdout,
    predictions: Predictions,
) -> BiasEvidence:
    """Compare each group with the rest of the rows, and add fairlearn's summaries.

    `favourable` is the class that is good for a person: `config.favourable`, or the positive class
    of a binary problem whose configuration names none. Regression needs none. Every figure follows
    it: a row is selected where that class is predicted, and positive where it is the label.
    """
    n = len(holdout.y)
    if not config.columns:
        return BiasEvidence(problem, n, (), config.reason)
    missing = find_gaps(holdout, predictions, "candidate")
    if not missing and problem != "regression":
        missing = _find_class_gaps(favourable, holdout)
    if missing:
        return BiasEvidence(problem, n, config.columns, missing=tuple(missing))
    absent = _find_absent(config.columns, holdout)
    present = [column for column in config.columns if column not in absent]
    groups = form_groups(holdout.frame, present, config.pairs, config.minimum_group)
    named = {column: name_values(holdout.frame, column) for column in present}
    summaries: tuple[FairnessSummary, ...] = ()
    if problem == "regression":
        errors = np.abs(np.asarray(predictions.labels - holdout.y, dtype=np.float64))
        figures = measure_regression(config, groups, errors)
    else:
        actual = mark_class(holdout.y, favourable)
        selected = mark_class(predictions.labels, favourable)
        figures, summaries = _measure_labels(config, groups, named, actual, selected)
    return BiasEvidence(
        problem,
        n,
        config.columns,
        missing=tuple(absent.values()),
        groups=tuple(GroupSize(group.name, group.n, group.members) for group in groups),
        figures=figures,
        summaries=summaries,
        favourable=None if problem == "regression" else favourable,
        assumed=problem == "binary" and config.favourable is None,
    )


def _find_class_gaps(favourable: Any, holdout: Holdout) -> list[str]:
    if favourable is None:
        return ["bias.favourable names no class: it is unknown which class is good for a person"]
    share = float(mark_class(holdout.y, favourable).mean())
    if 0.0 < share < 1.0:
        return []
    held = "only" if share else "no"
    found = ", ".join(repr(value) for value in sorted(set(holdout.y.tolist()), key=str)[:5])
    return [
        f"the {len(holdout.y):,} held-out rows hold {held} {favourable!r}, the favourable class; "
        f"found: {found}"
    ]


def _find_absent(columns: Sequence[str], holdout: Holdout) -> dict[str, str]:
    found = {}
    for column in columns:
        if column not in holdout.frame.columns:
            found[column] = f"sensitive column '{column}' is not in the held-out rows"
        elif holdout.frame[column].isna().all():
            found[column] = f"sensitive column '{column}' is null in all {len(holdout.y):,} rows"
    return found


def _measure_labels(
    config: BiasConfig,
    groups: Sequence[Group],
    named: dict[str, NDArray[Any]],
    actual: NDArray[np.int64],
    selected: NDArray[np.int64],
) -> tuple[tuple[FairnessFigure, ...], tuple[FairnessSummary, ...]]:
    figures = measure_classification(config, groups, actual, selected)
    summaries = [
        summary
        for column, values in named.items()
        for summary in _summarize(column, values, actual, selected)
    ]
    return figures, tuple(summaries)


def _summarize(
    column: str, values: NDArray[Any], actual: NDArray[np.int64], selected: NDArray[np.int64]
) -> list[FairnessSummary]:
    """Return fairlearn's summaries: the largest gaps between any two values of the column.

    Rows with the same value, label and prediction become one weighted row, because fairlearn
    processes rows one at a time.
    """
    from fairlearn import metrics

    levels, places = np.unique(values.astype(str), return_inverse=True)
    rows, weights = np.unique(
        np.column_stack([actual, selected, places]), axis=0, return_counts=True
    )
    summaries = []
    for name in (
        "demographic_parity_ratio",
        "demographic_parity_difference",
        "equalized_odds_ratio",
        "equalized_odds_difference",
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # groups without a positive or a negative: NaN
            value = float(
                getattr(metrics, name)(
                    rows[:, 0],
                    rows[:, 1],
                    sensitive_features=levels[rows[:, 2]],
                    sample_weight=weights,
                )
            )
        summaries.append(FairnessSummary(column, name, value if np.isfinite(value) else None))
    return summaries
