"""Folds: no row, group or later time trains the model that evaluates it, in any data version."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice.config.data import DataConfig, SplitConfig
from sluice.data.folds import NEVER, assign_folds, mark_training
from sluice.data.split import split_rows
from sluice.errors import TrainingImpossible

DATA = DataConfig.model_validate(
    {
        "id": "id",
        "time": "day",
        "target": "y",
        "suite": "none",
        "columns": {"id": "integer", "day": "integer", "house": "text", "y": "integer"},
        "features": ["day"],
    }
)


def make_rows(n: int, seed: int = 0, days: int = 40, houses: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    house = np.array([f"h{one}" for one in random.integers(0, houses, n)], dtype=object)
    return pd.DataFrame(
        {"id": np.arange(n), "day": random.integers(0, days, n), "house": house, "y": 0}
    )


@given(
    seed=st.integers(0, 1000),
    folds=st.integers(2, 6),
    by=st.sampled_from(["hash", "time"]),
    group=st.sampled_from(["", "house"]),
    later=st.integers(0, 300),
)
@settings(max_examples=60, deadline=None)
def test_nothing_of_a_fold_trains_its_model(
    seed: int, folds: int, by: str, group: str, later: int
) -> None:
    """`older` is an earlier data version: fewer rows, and groups that have grown since."""
    rows = make_rows(600, seed)
    older = rows.head(600 - later)
    split = SplitConfig.model_validate({"by": by, "group": group, "folds": folds, "seed": seed})
    found = assign_folds(rows, DATA, split)
    for fold in range(folds):
        test = rows[found.numbers == fold]
        assert len(test)
        for others in (rows, older):
            training = others[mark_training(found, fold, rows, others, DATA)]
            assert not set(training["id"]) & set(test["id"])
            if group:
                assert not set(training["house"]) & set(test["house"])
            if by == "time" and not group:
                assert training["day"].max() < test["day"].min()


def test_by_hash_every_row_is_evaluated_once_and_keeps_its_fold() -> None:
    rows, split = make_rows(3_000), SplitConfig(folds=5)
    found = assign_folds(rows, DATA, split)
    assert found.evaluated.all()
    assert np.bincount(found.numbers) == pytest.approx([600] * 5, abs=120)
    more = pd.concat([rows, make_rows(500).assign(id=np.arange(5_000, 5_500))], ignore_index=True)
    assert (assign_folds(more, DATA, split).numbers[:3_000] == found.numbers).all()


def test_by_time_the_oldest_block_is_trained_on_only() -> None:
    rows = make_rows(3_000)
    found = assign_folds(rows, DATA, SplitConfig(by="time", folds=4))
    sizes = [(found.numbers == fold).sum() for fold in (NEVER, 0, 1, 2, 3)]
    assert sizes == pytest.approx([600] * 5, abs=100)
    newest = [rows.loc[found.numbers == fold, "day"].max() for fold in (NEVER, 0, 1, 2, 3)]
    assert newest == sorted(newest)


def test_a_model_with_folds_trains_on_every_row() -> None:
    rows = make_rows(300)
    split = split_rows(rows, DATA, SplitConfig(folds=5))
    assert split.training.all()


@pytest.mark.parametrize("by", ["hash", "time"])
def test_too_few_rows_for_the_folds_are_refused(by: str) -> None:
    rows = make_rows(6, days=3, houses=3)
    with pytest.raises(TrainingImpossible, match=r"split\.folds"):
        assign_folds(rows, DATA, SplitConfig.model_validate({"by": by, "folds": 12}))


def test_one_fold_is_refused() -> None:
    with pytest.raises(ValidationError, match="allowed: 0"):
        SplitConfig(folds=1)


def test_an_old_tag_of_a_split_has_no_folds() -> None:
    assert SplitConfig.model_validate_json('{"by": "hash", "holdout": 0.3, "seed": 1}').folds == 0
