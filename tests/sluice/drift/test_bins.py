"""Bins come from reference rows alone, and count every row once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.drift.bins import (
    MOST_LEVELS,
    LevelBins,
    NumberBins,
    build_level_bins,
    build_number_bins,
    name_number,
)

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


@settings(max_examples=50, deadline=None)
@given(NUMBERS)
def test_points_are_quantiles_as_numpy_defines_them(values: list[float]) -> None:
    found = build_number_bins(np.array(values))
    shares = (np.arange(1, 1001) - 0.5) / 1000
    quantiles = np.quantile(values, shares, method="inverted_cdf")
    deciles = np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf")
    assert found.edges.tolist() == np.unique(deciles).tolist()
    assert found.points.tolist() == np.unique([*quantiles, *deciles]).tolist()


@settings(max_examples=50, deadline=None)
@given(NUMBERS, NUMBERS)
def test_each_cell_has_the_rows_above_one_point_up_to_the_next(
    reference: list[float], current: list[float]
) -> None:
    bins = build_number_bins(np.array(reference))
    low = np.concatenate([[-np.inf], bins.points])
    high = np.concatenate([bins.points, [np.inf]])
    expected = [sum(a < one <= b for one in current) for a, b in zip(low, high, strict=True)]
    assert bins.count(np.array(current)).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(NUMBERS, NUMBERS)
def test_bins_of_scores_are_the_rows_between_deciles(
    reference: list[float], current: list[float]
) -> None:
    bins = build_number_bins(np.array(reference))
    places = np.searchsorted(bins.edges, np.array(current), side="left")
    expected = np.bincount(places, minlength=len(bins.edges) + 1)
    assert bins.gather(bins.count(np.array(current))).tolist() == expected.tolist()


def test_a_grid_of_a_million_rows_has_a_thousand_points() -> None:
    bins = build_number_bins(np.random.default_rng(1).normal(size=100_000))
    assert 1000 <= len(bins.points) <= 1009
    assert len(bins.edges) == 9


def test_levels_beyond_the_most_frequent_share_a_cell() -> None:
    names = [f"level {at}" for at in range(MOST_LEVELS + 5)]
    counts = np.arange(len(names), 0, -1)
    bins = build_level_bins(names, counts)
    assert (len(bins.levels), bins.rest) == (MOST_LEVELS, 5)
    assert bins.place(["level 0", names[-1], "never seen"]).tolist()[1:] == [MOST_LEVELS] * 2


def test_the_order_of_rows_does_not_change_the_levels() -> None:
    counts = np.array([5, 5, 9])
    assert build_level_bins(["b", "a", "c"], counts).levels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("value", "name"), [(3.0, "3"), (-0.0, "0"), (2.5, "2.5"), (1e300, "1e+300")]
)
def test_numbers_are_named_in_their_shortest_form(value: float, name: str) -> None:
    assert name_number(value) == name


@pytest.mark.parametrize("points", [[], [1.0, 1.0], [2.0, 1.0], [float("inf")]])
def test_a_damaged_grid_is_refused(points: list[float]) -> None:
    with pytest.raises(ValueError, match="points"):
        NumberBins.from_dict({"points": points, "edges": []})


def test_an_edge_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="edges"):
        NumberBins.from_dict({"points": [1.0, 2.0], "edges": [1.5]})


@pytest.mark.parametrize("levels", [["a", "a"], ["a", 1]])
def test_damaged_levels_are_refused(levels: list[object]) -> None:
    with pytest.raises(ValueError, match="levels"):
        LevelBins.from_dict({"levels": levels, "rest": 0})


def test_a_grid_needs_values() -> None:
    with pytest.raises(ValueError, match="no values"):
        build_number_bins(np.empty(0))
