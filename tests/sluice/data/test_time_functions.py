"""Columns that follow the time column are recognised, and others are not."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.data.time_functions import count_back_steps, find_time_functions

RNG = np.random.default_rng(3)
ROWS = 2_000
SECONDS = np.sort(RNG.integers(0, 120 * 86_400, ROWS))
TIME = pd.Series(pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(SECONDS, unit="s"))
DAY = SECONDS // 86_400


def recognise(values: Any, time: Any = TIME) -> str:
    frame = pd.DataFrame({"time": time, "x": values})
    found = find_time_functions(frame, "time", ("x",)).get("x")
    return "" if found is None else found.part or found.kind


FOLLOWS = {
    "month": (TIME.dt.month, "month"),
    "week": (TIME.dt.isocalendar().week.astype("int64"), "week"),
    "weekday": (TIME.dt.day_of_week, "dayofweek"),
    "hour": (TIME.dt.hour, "hour"),
    "year and month as a number": (TIME.dt.year * 100 + TIME.dt.month + DAY / 1000, "grows"),
    "index of days": (DAY, "grows"),
    "days that are left": (500 - DAY, "falls"),
    "a day's price": (np.random.default_rng(1).random(121)[DAY], "one value a day"),
    "a day's weather": (
        np.random.default_rng(1).choice(["sun", "rain"], 121)[DAY],
        "one value a day",
    ),
    "an index with gaps": (pd.Series(DAY, dtype="Int64").where(DAY % 7 != 0), "grows"),
}
OTHERS = {
    "noise": RNG.normal(size=ROWS),
    "a trend with noise": DAY + RNG.normal(size=ROWS),
    "categories": RNG.choice(["a", "b"], ROWS),
    "whole numbers from 1 to 12": RNG.integers(1, 13, ROWS),
    "constant": np.ones(ROWS),
    "all null": np.full(ROWS, np.nan),
}


@pytest.mark.parametrize("name", sorted(FOLLOWS))
def test_a_function_of_time_is_recognised(name: str) -> None:
    values, expected = FOLLOWS[name]
    assert recognise(values) == expected


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_another_column_is_not(name: str) -> None:
    assert recognise(OTHERS[name]) == ""


def test_times_as_text_are_read() -> None:
    assert recognise(TIME.dt.month, TIME.dt.strftime("%Y-%m-%d")) == "month"


def test_years_order_rows_too() -> None:
    years = np.repeat(np.arange(1990, 2026), 60)
    assert recognise(np.repeat(np.arange(36) * 10, 60), years) == "grows"
    assert recognise(np.tile([0, 1], 36 * 30), years) == ""


def test_a_month_of_another_time_zone_is_recognised() -> None:
    local = TIME.dt.tz_convert("America/New_York")
    assert recognise(local.dt.month) == "month"


@pytest.mark.parametrize("share", [1.0, 0.99])
def test_a_column_of_zeros_is_no_part_of_a_time_that_hardly_varies(share: float) -> None:
    midnights = TIME.dt.floor("D") + pd.to_timedelta((RNG.random(ROWS) > share) * 7, unit="h")
    assert recognise((RNG.random(ROWS) < 0.005).astype(int), midnights) == ""


def test_few_moments_are_no_proof() -> None:
    time = pd.Series(np.repeat(np.arange(5), 100))
    assert recognise(np.repeat(np.arange(5), 100), time) == ""


def test_without_a_time_nothing_is_recognised() -> None:
    assert find_time_functions(pd.DataFrame({"x": [1, 2]}), "", ("x",)) == {}


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=40))
def test_the_number_of_back_steps_is_that_of_a_plain_count(values: list[int]) -> None:
    series, time = pd.Series(values, dtype=float), pd.Series(range(len(values)))
    back = sum(after < before for before, after in pairwise(values))
    assert count_back_steps(series, time) == (back, len(values))
    assert count_back_steps(-series, time, falling=True) == (back, len(values))
