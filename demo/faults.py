"""The planted faults: survey files as a careless upstream system would deliver them.

Each fault changes only the input; the release that receives it runs like any other.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sluice.config.service import ServiceConfig

if TYPE_CHECKING:
    import pandas as pd

Corruption = Callable[["pd.DataFrame", ServiceConfig, int], "pd.DataFrame"]


def garble_codes(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return rows in a new coding: some relationships are codes, some ages are -1."""
    rng = np.random.default_rng(seed)
    broken = frame.copy()
    coded = rng.random(len(frame)) < 0.1
    broken.loc[coded, "relationship"] = "code " + broken["relationship"].str.len().astype(str)
    broken.loc[rng.random(len(frame)) < 0.02, "age"] = -1
    return broken


def leak_target(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return rows with target leakage: a column filled in after the outcome was known.

    The values of `ancestry` are permuted so that they follow the target in 98 of 100 rows. Each
    value stays as frequent as before, so no range, set or distribution looks unusual.
    """
    rng = np.random.default_rng(seed)
    leaked = frame.copy()
    known = frame[config.data.target].to_numpy() == config.data.positive
    order = np.argsort(np.where(rng.random(len(frame)) < 0.98, known, ~known), kind="stable")
    leaked.loc[frame.index[order], "ancestry"] = np.sort(frame["ancestry"].to_numpy())
    return leaked


def assume_homemakers(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return rows recorded by the head-of-household rule that censuses used until 1980.

    A married man is the householder, a married woman his spouse, and the work of seven in ten
    employed wives was never recorded.
    """
    rng = np.random.default_rng(seed)
    recoded = frame.copy()
    couple = frame["relationship"].isin(["householder", "spouse"])
    married = couple & (frame["marital_status"] == "married")
    wives = married & (frame["sex"] == "female")
    recoded.loc[married, "relationship"] = "householder"
    recoded.loc[wives, "relationship"] = "spouse"
    unrecorded = (frame["marital_status"] == "married") & (frame["sex"] == "female")
    unrecorded &= rng.random(len(frame)) < 0.7
    recoded.loc[unrecorded, config.data.target] = 0
    return recoded


def misalign_labels(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return rows whose labels were joined in the wrong order, by age.

    Only the held-out rows keep their right labels. As many rows are positive as before.
    """
    from sluice.data.split import split_rows

    target = config.data.target
    by_age = frame["age"].rank(method="first").to_numpy().astype(int) - 1
    backwards = frame.sort_values("age", kind="stable")[target].to_numpy()[::-1]
    wrong = frame.copy()
    wrong[target] = backwards[by_age]
    right = split_rows(frame, config.data, config.split).holdout
    wrong.loc[right, target] = frame.loc[right, target]
    return wrong


FAULTS: dict[str, Corruption] = {
    "data": garble_codes,
    "leakage": leak_target,
    "bias": assume_homemakers,
    "worse": misalign_labels,
}
