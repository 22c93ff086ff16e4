"""Models are compared on rows that are set aside as the service's held-out rows are."""

import numpy as np
import pandas as pd
import pytest

from sluice.config.data import DataConfig, SplitConfig
from sluice.config.model import Problem
from sluice.profile.trial.candidates import FILLED, set_aside
from sluice.profile.trial.floors import list_floored

RANDOM = np.random.default_rng(4)


def make_rows(count: int) -> pd.DataFrame:
    days = pd.to_timedelta(RANDOM.integers(0, 200, count), unit="D")
    return pd.DataFrame(
        {
            "key": np.arange(count),
            "time": pd.Timestamp("2026-01-01", tz="UTC") + days,
            "customer": RANDOM.integers(0, count // 4, count),
            "size": RANDOM.normal(size=count),
            "target": RANDOM.integers(0, 2, count),
        }
    )


DATA = DataConfig(
    id="key",
    time="time",
    target="target",
    columns={
        "key": "integer",
        "time": "timestamp",
        "customer": "integer",
        "size": "number",
        "target": "integer",
    },
    features=("size",),
    suite="none",
)


@pytest.mark.parametrize(("count", "parts"), [(900, 3), (5_000, 3), (14_000, 1)])
def test_rows_that_are_split_by_time_are_compared_on_newer_ones(count: int, parts: int) -> None:
    found = list(set_aside(make_rows(count), DATA, "binary", SplitConfig(by="time")))
    assert len(found) == parts
    assert all(fitted["time"].max() < aside["time"].min() for fitted, aside in found)
    assert sum(len(aside) for _, aside in found) == pytest.approx(0.3 * count, rel=0.05)


@pytest.mark.parametrize(("count", "parts"), [(900, 5), (5_000, 3), (14_000, 1)])
def test_a_group_is_on_one_side(count: int, parts: int) -> None:
    found = list(set_aside(make_rows(count), DATA, "binary", SplitConfig(group="customer")))
    assert len(found) == parts
    assert all(not set(fitted["customer"]) & set(aside["customer"]) for fitted, aside in found)


@pytest.mark.parametrize("problem", ["binary", "regression"])
@pytest.mark.parametrize("split", [None, SplitConfig()])
def test_other_rows_are_set_aside_at_random(problem: Problem, split: SplitConfig | None) -> None:
    rows = make_rows(900)
    found = list(set_aside(rows, DATA, problem, split))
    assert sorted(key for _, aside in found for key in aside["key"]) == list(range(900))


@pytest.mark.parametrize(("classes", "parts"), [(3, 5), (10, 3)])
def test_many_classes_have_fewer_folds(classes: int, parts: int) -> None:
    rows = make_rows(900)
    rows["target"] = rows["key"] % classes
    found = list(set_aside(rows, DATA, "multiclass", None))
    assert len(found) == parts
    assert sum(len(aside) for _, aside in found) == 900


@pytest.mark.parametrize(
    ("problem", "target", "primary"),
    [
        ("multiclass", ["a"] * 90 + ["b", "c"] * 5, "log_loss"),
        ("multiclass", ["a"] * 60 + ["b", "c"] * 20, "accuracy"),
        ("binary", ["a"] * 95 + ["b"] * 5, "auc"),
        ("regression", list(range(100)), "rmse"),
        ("regression", [*range(99), 100_000], "mae"),
        ("regression", [0] * 85 + [*range(1, 15), 100_000], "rmse"),
    ],
)
def test_primary_metric_can_tell_a_model_from_a_constant(
    problem: Problem, target: list[object], primary: str
) -> None:
    assert list_floored(problem, pd.Series(target))[0] == primary


def test_newest_rows_of_one_class_are_not_compared_on() -> None:
    rows = make_rows(900)
    rows["target"] = (rows["time"] > rows["time"].quantile(0.6)).astype(int)
    found = list(set_aside(rows, DATA, "binary", SplitConfig(by="time")))
    assert len(found) == 5
    assert all(aside["target"].nunique() == 2 for _, aside in found)


def test_a_column_that_only_newer_rows_have_is_in_both_parts() -> None:
    rows = make_rows(900)
    newer = rows["time"] > rows["time"].quantile(0.85)
    rows["size"] = rows["size"].where(newer)
    found = list(set_aside(rows, DATA, "binary", SplitConfig(by="time")))
    assert all(fitted["size"].notna().sum() >= FILLED for fitted, _ in found)
