"""Training weights that make groups and labels independent."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.errors import TrainingImpossible

if TYPE_CHECKING:
    import pandas as pd

BOUND = 10.0
"""Heaviest a row may weigh; without a bound, one person could outweigh a hundred others."""


def reweigh(
    sensitive: "pd.DataFrame", y: "pd.Series[Any]", bound: float = BOUND
) -> NDArray[np.float64]:
    """Weigh rows by P(group) P(label) / P(group, label), shape (n,), mean about 1.

    Kamiran, Calders 2012, "Data preprocessing techniques for classification without
    discrimination". A group is a combination of the sensitive columns' values, nulls being a value
    of their own. Weights are bounded to `1/bound` to `bound`; where no cell meets the bound and
    each group has each label, weighted group and label are exactly independent.

    Raises:
        TrainingImpossible: there is no sensitive column, or the rows are not aligned.
    """
    import pandas as pd

    if sensitive.shape[1] == 0:
        raise TrainingImpossible(
            "bias.mitigation is `reweigh`, but bias.sensitive names no column to weigh by"
        )
    if len(sensitive) != len(y):
        raise TrainingImpossible(f"{len(sensitive):,} rows of groups have {len(y):,} labels")
    keys = list(sensitive.columns)
    groups = sensitive.groupby(keys, dropna=False, sort=False, observed=True).ngroup().to_numpy()
    labels = pd.factorize(pd.Series(y), use_na_sentinel=False)[0]
    table = np.zeros((groups.max(initial=0) + 1, labels.max(initial=0) + 1))
    np.add.at(table, (groups, labels), 1.0)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(len(y), 1)
    weights = expected[groups, labels] / table[groups, labels]
    return np.clip(weights, 1.0 / bound, bound)
