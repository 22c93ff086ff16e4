import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import TrainingImpossible
from sluice.models.training import BOUND, reweigh

CELLS = st.lists(st.integers(1, 30), min_size=6, max_size=6)


def make_rows(counts: list[int]) -> tuple[pd.DataFrame, pd.Series]:
    """Return rows of three groups by two labels, with these cell counts."""
    cells = [(group, label) for group in "abc" for label in (0, 1)]
    rows = [cell for cell, count in zip(cells, counts, strict=True) for _ in range(count)]
    frame = pd.DataFrame(rows, columns=["group", "label"])
    return frame[["group"]], frame["label"]


@given(CELLS)
def test_weighted_group_and_label_are_independent(counts: list[int]) -> None:
    groups, y = make_rows(counts)
    weights = reweigh(groups, y, bound=1e9)
    table = pd.crosstab(groups["group"], y, weights, aggfunc="sum").to_numpy()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    assert table == pytest.approx(expected)


@given(CELLS)
def test_weights_keep_the_number_of_rows_and_the_label_shares(counts: list[int]) -> None:
    groups, y = make_rows(counts)
    weights = reweigh(groups, y, bound=1e9)
    assert weights.sum() == pytest.approx(len(y))
    assert weights[y == 1].sum() == pytest.approx((y == 1).sum())


def test_a_weight_equals_the_published_formula() -> None:
    groups, y = make_rows([1, 3, 3, 1, 1, 1])
    weights = reweigh(groups, y)
    assert weights[0] == pytest.approx((4 / 10) * (5 / 10) / (1 / 10))


def test_no_weight_is_above_the_bound() -> None:
    groups, y = make_rows([1, 500, 500, 1, 30, 30])
    assert reweigh(groups, y).max() == BOUND


def test_groups_are_combinations_and_null_is_a_value() -> None:
    frame = pd.DataFrame({"sex": ["f", "f", None, None], "race": ["x", "y", "x", "x"]})
    y = pd.Series([1, 0, 1, 0])
    assert reweigh(frame, y).tolist() == pytest.approx([0.5, 0.5, 1.0, 1.0])


def test_reweighing_without_a_column_is_refused() -> None:
    with pytest.raises(TrainingImpossible, match="names no column"):
        reweigh(pd.DataFrame(index=range(3)), pd.Series([1, 0, 1]))


def test_rows_that_do_not_align_are_refused() -> None:
    with pytest.raises(TrainingImpossible, match="3 rows of groups have 2 labels"):
        reweigh(pd.DataFrame({"sex": ["f", "m", "f"]}), pd.Series([1, 0]))
