"""Counts of parts, merged, are those of the whole: to the last row, in any order."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.drift import counts as counts_module
from sluice.drift.counts import NEW_LEVELS, NewLevels, WindowCounts, sample_levels
from sluice.drift.profile import ReferenceProfile
from sluice.errors import DataInvalid
from support.drift import draw_normal, make_profile, make_table

RANDOM = np.random.default_rng(5)
PROFILE = make_profile(
    {
        "height": draw_normal(1, 600),
        "rooms": RANDOM.integers(0, 6, 600).astype(float),
        "city": RANDOM.choice(["Bonn", "Lyon", "Turin"], 600),
    },
    slices=("side",),
)
SLICED = make_profile(
    {
        "height": draw_normal(1, 600),
        "city": RANDOM.choice(["Bonn", "Lyon"], 600),
        "side": RANDOM.choice(["left", "right"], 600),
    },
    slices=("side",),
)
HEIGHTS = st.none() | st.floats(-4, 4, width=32)
CITIES = st.none() | st.sampled_from(["Bonn", "Lyon", "Turin", "Gent", "Riga"])
ROW = st.tuples(HEIGHTS, st.none() | st.integers(0, 9), CITIES, st.sampled_from(["left", "right"]))


def tabulate(rows: list[Any], types: bool = True) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    kinds = (pa.float64(), pa.int64(), pa.string(), pa.string())
    return pa.table(
        {
            name: pa.array(list(values), kind)
            for name, values, kind in zip(
                ("height", "rooms", "city", "side"), columns, kinds, strict=True
            )
        }
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ROW, max_size=12), max_size=4), st.randoms())
def test_merge_equals_one_pass(parts: list[list[Any]], order: Any) -> None:
    for profile in (PROFILE, SLICED):
        whole = profile.count_rows([tabulate([row for part in parts for row in part])])
        shuffled = [tabulate(part) for part in parts]
        order.shuffle(shuffled)
        merged = profile.count_rows(shuffled)
        assert strip_empty(merged) == strip_empty(whole)


def strip_empty(found: WindowCounts) -> dict[str, Any]:
    """Parts without rows of a slice do not name it, and no rows at all name no column."""
    values = found.to_dict()
    return values if found.rows else {**values, "columns": {}, "unknown": {}}


def test_merge_is_associative() -> None:
    parts = [
        PROFILE.count_part(make_table({"height": draw_normal(seed, 50), "city": ["Rom"] * 50}))
        for seed in range(3)
    ]
    left = parts[0].merge(parts[1]).merge(parts[2])
    assert left.to_dict() == parts[0].merge(parts[1].merge(parts[2])).to_dict()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), max_size=60), min_size=1, max_size=5))
def test_a_sample_of_new_levels_does_not_depend_on_the_order(parts: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "NEW_LEVELS", 8)
        singles = [
            sample_levels({f"new {one}": part.count(one) for one in set(part)}) for part in parts
        ]
        forward, backward = NewLevels(), NewLevels()
        for one in singles:
            forward = forward.merge(one)
        for one in reversed(singles):
            backward = one.merge(backward)
        everything = [one for part in parts for one in part]
        whole = sample_levels({f"new {one}": everything.count(one) for one in set(everything)})
    assert forward == backward == whole
    assert len(whole.rows) <= 8


def test_a_million_new_levels_keep_a_bounded_sample_and_an_exact_count() -> None:
    total = NewLevels()
    profile = make_profile({"code": ["a", "b"] * 300})
    counted = WindowCounts(profile.bins, 0, {})
    for start in range(0, 100_000, 25_000):
        names = pa.array([f"code {at}" for at in range(start, start + 25_000)])
        counted = counted.merge(profile.count_part(pa.table({"code": names})))
    found = counted.columns["code"]
    assert int(found.cells[-1]) == 100_000
    assert len(found.new.rows) == NEW_LEVELS
    assert found.new.estimate_number() == pytest.approx(100_000, rel=0.15)
    assert total.estimate_number() == 0


def test_counts_survive_their_document() -> None:
    counted = SLICED.count_part(
        make_table(
            {"height": [1.0, None, 9.0], "city": ["Rom", None, "Bonn"], "side": ["left"] * 3}
        )
    )
    bins = {name: one.bins for name, one in SLICED.columns.items()}
    assert WindowCounts.from_dict(counted.to_dict(), bins).to_dict() == counted.to_dict()


def test_counts_of_two_references_do_not_merge() -> None:
    with pytest.raises(DataInvalid, match="cannot be merged"):
        PROFILE.count_part(None).merge(SLICED.count_part(None))


def test_counts_in_other_cells_are_refused() -> None:
    values = PROFILE.count_part(make_table({"city": ["Bonn"]})).to_dict()
    values["columns"]["city"]["cells"] = [1]
    bins = {name: one.bins for name, one in PROFILE.columns.items()}
    with pytest.raises(ValueError, match="cells: found 1, allowed: 4"):
        WindowCounts.from_dict(values, bins)


def test_a_column_of_another_type_is_counted_as_unreadable() -> None:
    found = PROFILE.count_part(make_table({"height": ["tall"] * 7})).columns["height"]
    assert (found.rows, found.unreadable) == (0, 7)
    assert found.found == "found string, allowed: numbers"


def test_numbers_and_texts_of_one_level_are_one_level() -> None:
    profile: ReferenceProfile = make_profile({"rooms": [1.0, 2.0, 3.0] * 200})
    same = [
        pa.table({"rooms": pa.array(values)})
        for values in ([1, 2, 3], [1.0, 2.0, 3.0], ["1", "2", "3"])
    ]
    found = {tuple(profile.count_part(one).columns["rooms"].cells.tolist()) for one in same}
    assert found == {(1, 1, 1, 0)}
