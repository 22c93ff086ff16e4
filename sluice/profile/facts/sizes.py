"""What a file's number of rows and classes allows: the split that the gates can judge by."""

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig, SplitConfig
from sluice.config.model import Problem
from sluice.data.leakage import LEAST_ROWS
from sluice.data.split import Split, split_rows
from sluice.errors import ChoiceNeeded, DataInvalid, TrainingImpossible
from sluice.gates.evaluation import MINIMUM_ROWS as LEAST_HELD_OUT
from sluice.profile.facts.columns import LEVELS, ColumnFacts
from sluice.profile.facts.roles import MOST_CLASSES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MINIMUM_ROWS = LEAST_ROWS
"""Fewest rows that any gate can judge."""
MINIMUM_CLASS_ROWS = LEAST_ROWS // 10
HOLDOUT = 0.3
LONGER_HOLDOUTS = (0.4, 0.5, 0.6)
"""Larger shares for a file of which .3 is too few rows for the evaluation gate."""
LEAST_OF_CLASS = 6
"""Fewest training rows of a class: the trial draws several parts of them."""
SEEDS = 5
LEAST_TRAINING = LEAST_HELD_OUT // 2
MINIMUM_DATES = 20
"""Fewest different dates with which rows are split by time."""


def list_classes(
    columns: tuple[ColumnFacts, ...], table: "pa.Table", target: str
) -> tuple[ColumnFacts, ...]:
    """Return the columns with the target's classes listed, up to 100 of them."""
    import pyarrow.compute as pc

    found = []
    for column in columns:
        if column.name == target and LEVELS < column.distinct <= MOST_CLASSES:
            counts = pc.value_counts(pc.drop_null(table[target])).to_pylist()
            pairs = sorted((item["values"], item["counts"]) for item in counts)
            levels, rows = zip(*pairs, strict=True)
            found.append(replace(column, levels=levels, counts=rows))
        else:
            found.append(column)
    return tuple(found)


def check_rows(target: ColumnFacts, problem: Problem, source: str) -> None:
    """Check that there are enough rows for the gates.

    Raises:
        DataInvalid: there are not; with what would help.
    """
    if target.rows < MINIMUM_ROWS:
        held = target.rows * HOLDOUT
        figure, spread = "an accuracy by", 0.8 / held**0.5  # 1.645 standard errors of a share .5
        if problem == "regression":
            figure, spread = "a mean error, in shares of its own spread, by", 1.645 / held**0.5
        raise DataInvalid(
            f"{source}: {target.rows:,} rows are too few for any gate: a release holds "
            f"{HOLDOUT:.0%} out, and on {held:.0f} rows chance alone moves {figure} "
            f"{spread:.2f}; bring at least {MINIMUM_ROWS}, better 2,000"
        )


def choose_split(
    frame: "pd.DataFrame",
    data: DataConfig,
    columns: tuple[ColumnFacts, ...],
    problem: Problem,
    group: str,
) -> tuple[SplitConfig, Split, str]:
    """Return a split, its rows, and the reason where it is not the usual one.

    Rows are split by time where they have dates, unless the newest rows have one class only. The
    share is .3, and larger where .3 holds fewer rows out than the evaluation gate can judge. The
    rows of `frame` are split as a release splits them, so their number is known, not guessed.

    Raises:
        ChoiceNeeded: no share holds enough rows out and leaves more than half of that to train on.
    """
    order = choose_order(columns, data.time)
    found = _try_shares(frame, data, problem, SplitConfig(by=order, group=group))
    if found is None and order == "time" and problem != "regression":
        found = _try_shares(frame, data, problem, SplitConfig(by="hash", group=group))
        why = f"not by {data.time}: its newest rows lack a class, and no gate could judge them"
        if found is not None:
            return found[0], found[1], f"{why}; {found[2]}".removesuffix("; ")
    if found is not None:
        return found
    named = f"'{group or data.time or data.id}'"
    classes = ""
    if problem != "regression":
        classes = f" and leaves {LEAST_OF_CLASS} training rows of each class"
    raise ChoiceNeeded(
        f"no split by {named} holds out the {LEAST_HELD_OUT} rows that the evaluation gate needs"
        f"{classes}: the file has {len(frame):,} rows; bring more, merge rare classes, or split "
        "otherwise: --group none, or --time none"
    )


def _try_shares(
    frame: "pd.DataFrame", data: DataConfig, problem: Problem, split: SplitConfig
) -> tuple[SplitConfig, Split, str] | None:
    """Return the split with the least share of held-out rows that the gates can judge.

    A rare class may lie on one side by chance: then the next seed of the hash is tried.
    """
    first = None
    seeds = range(SEEDS) if split.by == "hash" else range(1)
    for share, seed in product((HOLDOUT, *LONGER_HOLDOUTS), seeds):
        tried = split.model_copy(update={"holdout": share, "seed": seed})
        try:
            parts = split_rows(frame, data, tried)
        except TrainingImpossible:
            continue
        first = parts.holdout_rows if first is None else first
        enough = parts.holdout_rows >= LEAST_HELD_OUT and parts.training_rows >= LEAST_TRAINING
        if enough and has_classes(frame[data.target], parts.holdout, problem, LEAST_OF_CLASS):
            return tried, parts, _explain_share(tried, first)
    return None


def has_classes(
    target: "pd.Series[Any]", held: NDArray[np.bool_], problem: Problem, least: int
) -> bool:
    """Return whether the held rows have several classes, and the rest has `least` rows of each."""
    if problem == "regression":
        return True
    known = target[~held].value_counts()
    complete = len(known) == target.nunique() and int(known.min()) >= least
    return complete and target[held].nunique() >= 2


def _explain_share(split: SplitConfig, first: int) -> str:
    found = []
    if split.holdout != HOLDOUT:
        found.append(
            f"longer than {HOLDOUT:g}, which holds out {first:,} rows: the evaluation gate needs "
            f"{LEAST_HELD_OUT}"
        )
    if split.seed:
        found.append(
            f"seed {split.seed}: by a smaller one fewer than {LEAST_OF_CLASS} training rows of a "
            f"class are left, or fewer than {LEAST_HELD_OUT} rows held out"
        )
    return "; ".join(found)


def choose_order(columns: tuple[ColumnFacts, ...], time: str) -> Literal["hash", "time"]:
    """Return whether rows are split by time: the time column has at least 20 different dates."""
    column = next((item for item in columns if item.name == time), None)
    dates = column is not None and column.kind != "integer" and column.distinct >= MINIMUM_DATES
    return "time" if dates else "hash"


def choose_minimum_group(groups: dict[str, dict[str, int]], held_out: int) -> tuple[int, str]:
    """Return the fewest held-out rows of a group that is judged alone, and the reason.

    It is 100, and less where no group would be judged: the bias gate halts on a service of whose
    groups it can judge none.

    Raises:
        ChoiceNeeded: no group has ten held-out rows.
    """
    usual = "smaller groups are pooled: one row changes their rates a lot"
    sizes = [min(rows, held_out - rows) for levels in groups.values() for rows in levels.values()]
    largest = max(sizes, default=0)
    for least in (100, 50, 30, 20, 10):
        if largest >= least:
            few = f"no group and its rest have more: {largest} of {held_out} held-out rows"
            return least, usual if least == 100 else few
    raise ChoiceNeeded(
        f"--sensitive: of {', '.join(groups)} no group has 10 held-out rows ({largest} at most), "
        "so the bias gate could judge none; bring more rows, merge groups, or name other columns"
    )


def count_groups(
    frame: "pd.DataFrame", parts: Split, sensitive: tuple[str, ...], rows: int
) -> dict[str, dict[str, int]]:
    """Return how many held-out rows each group has; of a sample, about how many of all `rows`."""
    held, scale = frame[parts.holdout], rows / len(frame)
    found: dict[str, dict[str, int]] = {}
    for name in sensitive:
        counts = held[name].value_counts(dropna=False)
        found[name] = {_show(level): round(int(n) * scale) for level, n in counts.items()}
    return found


def _show(level: Any) -> str:
    missing = level is None or (isinstance(level, float) and np.isnan(level))
    return "(missing)" if missing else str(level)
