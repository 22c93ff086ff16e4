"""The people whom callers ask about, and what changes in them: the planted part of the loop."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.faults import misalign_labels
from sluice.adapters.storage import write_whole
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES

if TYPE_CHECKING:
    import pandas as pd

Change = Callable[["pd.DataFrame", ServiceConfig, int], "pd.DataFrame"]
DEGREE, TRADES = ("bachelor",), ("high school", "some college")
LOST, HIRED = 0.8, 0.9
"""Shares of those with a bachelor's degree who lose their work, and of the others who find some."""
MIDDLE, PENSION = 50, 65
"""Ages from which nobody loses office work, and from which nobody is hired."""
OLDER, YOUNGER = 50, 30


def move_office_work(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return rows after a change of concept: who works depends otherwise on the education.

    Software takes over the office work of most people below 50 with a bachelor's degree; trades and
    care hire people below 65 who have none. The people stay the same, and as many are employed.
    """
    rng = np.random.default_rng(seed)
    changed = frame.copy()
    education, target = frame["education"], config.data.target
    out = education.isin(DEGREE) & (frame["age"] < MIDDLE) & (rng.random(len(frame)) < LOST)
    into = education.isin(TRADES) & (frame["age"] < PENSION) & (rng.random(len(frame)) < HIRED)
    changed.loc[out, target] = 0
    changed.loc[into, target] = 1
    return changed


def move_and_misalign(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return rows after the change of concept, with labels that were joined in the wrong order.

    Only the rows that a release holds out keep their right labels.
    """
    return misalign_labels(move_office_work(frame, config, seed), config, seed)


def keep_older(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return the rows of people of 50 and over only: a pure shift of the inputs."""
    return frame[frame["age"] >= OLDER]


def keep_younger(frame: "pd.DataFrame", config: ServiceConfig, seed: int) -> "pd.DataFrame":
    """Return the rows of people of 18 to 30 only, whom the model knows less well."""
    return frame[frame["age"].between(18, YOUNGER)]


def read_survey(year: int) -> "pd.DataFrame":
    """Return the survey of a year: 12,000 people."""
    import pandas as pd

    return pd.read_parquet(SAMPLES / f"acs_employment_{year}.parquet")


def write_rows(frame: "pd.DataFrame", config: ServiceConfig, path: Path) -> int:
    """Write rows as `sluice replay --rows` reads them; return their number.

    The inputs have every column but the target, so that labelled answers can become rows.
    """
    target = config.data.target
    labels = frame[target].tolist()
    records: list[dict[Any, Any]] = frame.drop(columns=target).to_dict("records")
    lines = [
        json.dumps({"inputs": record, "label": label})
        for record, label in zip(records, labels, strict=True)
    ]
    write_whole({path: "\n".join(lines) + "\n"})
    return len(lines)
