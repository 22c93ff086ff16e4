"""The planted faults: survey files as a careless upstream would deliver them.

Each changes the input and nothing else; the release that meets it is called like any other.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sluice.config.service import ServiceConfig

if TYPE_CHECKING:
    import pandas as pd

Corruption = Callable[["pd.DataFrame", ServiceConfig, int], "pd.DataFrame"]


def garble_codes(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """An extract with a new code book: some relationships arrive as codes, some ages as -1."""
    rng = np.random.default_rng(seed)
    broken = frame.copy()
    coded = rng.random(len(frame)) < 0.1
    broken.loc[coded, "relationship"] = "code " + broken["relationship"].str.len().astype(str)
    broken.loc[rng.random(len(frame)) < 0.02, "age"] = -1
    return broken


def leak_answer(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """A column filled in after the outcome was known.

    The values of `ancestry` are dealt out again so that they follow the answer in 98 of 100 rows.
    Each value stays as frequent as it was: no range, set or distribution looks odd.
    """
    rng = np.random.default_rng(seed)
    leaked = frame.copy()
    known = frame[config.data.target].to_numpy() == config.data.positive
    order = np.argsort(np.where(rng.random(len(frame)) < 0.98, known, ~known), kind="stable")
    leaked.loc[frame.index[order], "ancestry"] = np.sort(frame["ancestry"].to_numpy())
    return leaked


def assume_homemakers(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Files by the head-of-household rule that censuses kept until 1980.

    A married man is the householder, a married woman his spouse, and the work of seven in ten
    employed wives was never written down.
    """
    rng = np.random.default_rng(seed)
    recoded = frame.copy()
    couple = frame["relationship"].isin(["householder", "spouse"])
    married = couple & (frame["marital_status"] == "married")
    wives = married & (frame["sex"] == "female")
    recoded.loc[married, "relationship"] = "householder"
    recoded.loc[wives, "relationship"] = "spouse"
    unseen = (frame["marital_status"] == "married") & (frame["sex"] == "female")
    unseen &= rng.random(len(frame)) < 0.7
    recoded.loc[unseen, config.data.target] = 0
    return recoded


def misalign_labels(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Answers of a labelling job, joined in the wrong order by age.

    Only the held-out rows were labelled by hand and are right. As many rows are positive as before.
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
    "leakage": leak_answer,
    "bias": assume_homemakers,
    "worse": misalign_labels,
}
