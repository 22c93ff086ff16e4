import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from sluice.stats.fairness import form_groups


def make_frame(**counts: int) -> pd.DataFrame:
    return pd.DataFrame({"race": np.repeat(list(counts), list(counts.values()))})


def test_large_groups_are_not_pooled_and_come_largest_first() -> None:
    groups = form_groups(make_frame(a=100, b=300), ["race"], False, 100)
    assert [(group.name, group.n) for group in groups] == [("race=b", 300), ("race=a", 100)]


def test_small_groups_are_pooled_and_named() -> None:
    groups = form_groups(make_frame(a=300, b=60, c=50), ["race"], False, 100)
    assert groups[-1].name == "race=(pooled)"
    assert groups[-1].n == 110
    assert groups[-1].members == ("race=b (60)", "race=c (50)")


def test_a_lone_small_group_keeps_its_name() -> None:
    groups = form_groups(make_frame(a=300, b=60), ["race"], False, 100)
    assert groups[-1].name == "race=b"


def test_nulls_form_a_group() -> None:
    frame = pd.DataFrame({"race": ["a"] * 200 + [None] * 150})
    assert form_groups(frame, ["race"], False, 100)[-1].name == "race=(missing)"


def test_groups_of_numbers_with_nulls_are_named_by_value() -> None:
    frame = pd.DataFrame({"code": [1.0] * 20 + [np.nan] * 10 + [2.5] * 10})
    names = {group.name for group in form_groups(frame, ["code"], False, 10)}
    assert names == {"code=1.0", "code=2.5", "code=(missing)"}


def test_pairs_cross_the_columns() -> None:
    frame = pd.DataFrame({"sex": ["f", "m"] * 200, "race": ["a"] * 200 + ["b"] * 200})
    names = [group.name for group in form_groups(frame, ["sex", "race"], True, 100) if group.pair]
    assert names == ["sex=f, race=a", "sex=f, race=b", "sex=m, race=a", "sex=m, race=b"]


def test_without_pairs_no_group_crosses_columns() -> None:
    frame = pd.DataFrame({"sex": ["f", "m"] * 200, "race": ["a"] * 200 + ["b"] * 200})
    assert not any(group.pair for group in form_groups(frame, ["sex", "race"], False, 100))


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=200), st.integers(1, 60))
def test_every_row_is_in_exactly_one_group_of_a_column(values: list[str], minimum: int) -> None:
    groups = form_groups(pd.DataFrame({"race": values}), ["race"], False, minimum)
    assert (np.sum([group.inside for group in groups], axis=0) == 1).all()
