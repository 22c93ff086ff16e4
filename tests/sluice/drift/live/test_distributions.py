"""A column before and after as bars: shares of all rows, nulls and other levels included."""

import numpy as np
import pytest

from sluice.drift.live.distributions import MOST_LEVELS, describe_column
from support.drift import make_profile, make_table


def bars_of(before: dict[str, list[object]], after: dict[str, list[object]]) -> list[tuple]:
    profile = make_profile(before)
    counts = profile.count_rows([make_table(after)])
    name = next(iter(before))
    column = profile.columns[name]
    found = describe_column(column, column.counts, counts.columns[name])
    return [(one.label, one.before, one.after) for one in found]


def test_numbers_are_in_deciles_of_the_reference() -> None:
    numbers = np.arange(1.0, 1001.0).tolist()
    found = bars_of({"x": numbers}, {"x": numbers[500:]})
    assert [one[0] for one in found][:2] == ["up to 100", "100 to 200"]
    assert [one[1] for one in found] == pytest.approx([0.1] * 10)
    assert [one[2] for one in found] == pytest.approx([0.0] * 5 + [0.2] * 5)


def test_nulls_have_a_bar_of_their_own() -> None:
    numbers = np.arange(100.0).tolist()
    found = bars_of({"x": numbers}, {"x": [*numbers, *[float("nan")] * 100]})
    assert found[-1] == ("(null)", 0.0, 0.5)
    assert sum(one[2] for one in found) == pytest.approx(1.0)


def test_levels_come_by_size_and_new_ones_last() -> None:
    found = bars_of({"x": ["a"] * 3 + ["b"]}, {"x": ["a", "c", "c", "c"]})
    assert found == [("a", 0.75, 0.25), ("b", 0.25, 0.0), ("(new levels)", 0.0, 0.75)]


def test_many_levels_share_a_bar() -> None:
    names = [f"level {at:03d}" for at in range(30)]
    found = bars_of({"x": names}, {"x": names})
    assert len(found) == MOST_LEVELS + 1
    assert found[-1][0] == f"({30 - MOST_LEVELS} other levels)"
    assert sum(one[1] for one in found) == pytest.approx(1.0)


def test_a_blank_and_a_long_level_can_be_told() -> None:
    found = bars_of({"x": ["", "y" * 200]}, {"x": ["", "y" * 200]})
    assert sorted(one[0] for one in found) == ["(blank)", "y" * 37 + "..."]


def test_a_side_without_rows_has_no_shares() -> None:
    found = bars_of({"x": [1.0, 2.0]}, {"x": []})
    assert [one[2] for one in found] == [None, None]
