"""The newest held-out rows, by a time or by a number of rows."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config.evaluation import EvaluationConfig
from sluice.data.recent import mark_recent

DAYS = pd.Series(pd.date_range("2026-01-01", periods=100, freq="D", tz="UTC"))


def configure(recent: str | int) -> EvaluationConfig:
    return EvaluationConfig(primary="auc", recent=recent)


def test_without_the_setting_nothing_is_marked() -> None:
    assert mark_recent(configure(""), DAYS, DAYS) is None


def test_a_time_is_counted_back_from_the_newest_row_of_the_data() -> None:
    held_out = DAYS[::2].reset_index(drop=True)
    found = mark_recent(configure("10 d"), held_out, DAYS)
    assert found is not None
    assert held_out[found.mask].min() == DAYS.max() - pd.Timedelta(days=9)
    assert found.n == 5
    assert found.since == "2026-03-31 00:00:00+00:00"


def test_no_held_out_row_may_be_so_new() -> None:
    found = mark_recent(configure("1 d"), DAYS[:50], DAYS)
    assert found is not None
    assert found.n == 0


def test_rows_without_a_time_are_not_new() -> None:
    times = DAYS.where(np.arange(100) < 90)
    for recent in ("30 d", 100):
        found = mark_recent(configure(recent), times, DAYS)
        assert found is not None
        assert not found.mask[90:].any()


def test_no_times_at_all_mark_nothing() -> None:
    empty = pd.Series([pd.NaT] * 5)
    for recent in ("30 d", 100):
        found = mark_recent(configure(recent), empty, empty)
        assert found is not None
        assert (found.n, found.since) == (0, "")


@settings(deadline=None)
@given(st.lists(st.integers(2000, 2020), min_size=1, max_size=400), st.integers(100, 500))
def test_a_number_of_rows_marks_the_fewest_whole_times_that_have_so_many(
    years: list[int], rows: int
) -> None:
    times = pd.Series(years)
    found = mark_recent(configure(rows), times, times)
    assert found is not None
    kept, others = times[found.mask], times[~found.mask]
    assert found.n >= min(rows, len(times))
    assert others.empty or others.max() < kept.min()
    assert (kept > kept.min()).sum() < rows
