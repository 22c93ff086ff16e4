"""How sure a fall in a slice is: by the draws where they are many, else by the normal tail."""

import numpy as np
import pytest

from sluice.metrics import METRICS
from sluice.stats.slicing import Slice, SliceFigure, compare_slices
from sluice.stats.variation import Drawn

MARGIN = 0.0625


def compare(*differences: np.ndarray) -> list[SliceFigure]:
    """Compare slices of which each has these drawn differences, and their median as its figure."""
    rows = np.arange(300)
    slices = [Slice("s", str(at), rows, True) for at in range(len(differences))]
    values = np.array([[float(np.median(one)), 0.0] for one in differences]).ravel()
    draws = [[Drawn(one), Drawn(np.zeros(len(one)))] for one in differences]
    return list(compare_slices(slices, METRICS["accuracy"], values, draws, MARGIN))


def skewed(draws: int) -> np.ndarray:
    """Give draws of which 99 in 100 fall just beyond the margin, and one rises far above it."""
    return np.where(np.arange(draws) % 100 == 99, 2.0, -0.07)


@pytest.mark.parametrize(("draws", "levels"), [(1000, [0.025, 0.05]), (100, [0.025, 0.025])])
def test_a_skewed_fall_is_sure_by_its_draws_and_not_by_the_normal_tail(
    draws: int, levels: list[float]
) -> None:
    """Where the first slice is rejected at .025, Holm tests the second at .05."""
    even = np.linspace(-0.01, 0.01, draws)
    assert [figure.level for figure in compare(skewed(draws), even)] == pytest.approx(levels)


@pytest.mark.parametrize(("fall", "levels"), [(-0.125, [0.025, 0.05]), (-0.0625, [0.025, 0.025])])
def test_a_difference_that_no_draw_changes_is_sure(fall: float, levels: list[float]) -> None:
    found = compare(np.full(100, fall), np.linspace(-0.01, 0.01, 100))
    assert [figure.level for figure in found] == pytest.approx(levels)
    difference = found[0].difference
    assert difference is not None
    assert (difference.low, difference.value, difference.high) == (fall, fall, fall)


@pytest.mark.parametrize(("undefined", "measured"), [(10, True), (11, False)])
def test_at_most_one_draw_in_a_hundred_may_be_undefined(undefined: int, measured: bool) -> None:
    drawn = np.linspace(-0.01, 0.01, 1000)
    drawn[:undefined] = np.nan
    rows = np.arange(300)
    draws = [[Drawn(drawn), Drawn(np.zeros(1000))]]
    slices = [Slice("s", "a", rows, True)]
    (figure,) = compare_slices(slices, METRICS["accuracy"], np.zeros(2), draws, MARGIN)
    assert (figure.difference is not None) is measured
    assert figure.n == 300
