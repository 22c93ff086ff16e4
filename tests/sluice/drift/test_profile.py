"""The reference profile: built from reference rows, and the same after its document."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sluice.drift.bins import LevelBins, NumberBins
from sluice.drift.columns import Watched, WatchedColumn
from sluice.drift.document import read_profile, write_profile
from sluice.drift.profile import Description, ReferenceProfile, build_profile
from sluice.drift.rule import judge_drift
from sluice.errors import DataInvalid
from support.drift import draw_normal, make_profile, make_table

N = 1200
RANDOM = np.random.default_rng(3)
WORDS = ["red", "green", "blue", "house", "tree", "road"]


def make_texts(seed: int, rows: int = N) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 30))) for _ in range(rows)]


def make_whole() -> ReferenceProfile:
    return make_profile(
        {
            "height": np.where(np.arange(N) % 7 == 0, np.nan, draw_normal(1, N)),
            "rooms": RANDOM.integers(0, 5, N),
            "city": RANDOM.choice(["Bonn", "Lyon"], N),
            "title": make_texts(1),
            "side": np.where(np.arange(N) % 3 == 0, "left", "right"),
        },
        forms={"title": "unknown_words"},
        slices=("side",),
        importance={"height": 0.3, "city": -0.01},
    )


def test_the_document_gives_the_same_profile() -> None:
    profile = make_whole()
    text = write_profile(profile)
    found = read_profile(text)
    assert write_profile(found) == text
    assert found.bins == profile.bins
    window = make_table({"height": draw_normal(2, N), "side": ["left"] * N})
    one, other = (each.count_part(window) for each in (profile, found))
    assert one.to_dict() == other.to_dict()
    assert judge_drift(profile, one) == judge_drift(found, other)


def test_the_same_rows_in_another_order_give_the_same_document() -> None:
    columns = {"height": draw_normal(1, N), "city": np.array(["a", "b", "c"] * (N // 3))}
    order = np.random.default_rng(1).permutation(N)
    shuffled = {name: values[order] for name, values in columns.items()}
    assert write_profile(make_profile(columns)) == write_profile(make_profile(shuffled))


def test_few_distinct_numbers_are_levels() -> None:
    profile = make_profile({"few": np.arange(N) % 19, "many": np.arange(N) % 20})
    assert isinstance(profile.columns["few"].bins, LevelBins)
    assert isinstance(profile.columns["many"].bins, NumberBins)


def test_the_reference_has_every_row_once() -> None:
    profile = make_whole()
    assert profile.rows == N
    for one in profile.columns.values():
        halved = one.watched.form == "unknown_words"
        assert one.counts.rows == (N // 2 if halved else N)
    assert {name: part.rows for name, part in profile.parts.items()} == {
        "side=left": 400,
        "side=right": 800,
    }


def test_importance_is_never_below_nothing() -> None:
    assert make_whole().importance == {"height": 0.3, "city": 0.0}


def test_new_texts_of_the_same_words_are_clean_and_those_of_others_are_not() -> None:
    profile = make_whole()
    other = make_table({"title": make_texts(2)})
    strange = make_table({"title": ["red rust lichen"] * N})
    alarms = []
    for table in (other, strange):
        found = judge_drift(profile, profile.count_part(table))["data"]
        title = next(one for one in found.columns if one.column == "title")
        alarms.append(title.alarm)
    assert alarms == [False, True]


def test_a_column_without_values_is_left_out() -> None:
    profile = make_profile({"x": pa.nulls(N, pa.float64()), "y": draw_normal(1, N)})
    assert profile.left_out == {"x": "it has no values in the reference rows"}


def test_a_role_without_rows_is_left_out() -> None:
    watched = Watched((WatchedColumn("y", "y", "level", "label"),), {})
    profile = build_profile(Description("things", 1), watched, {"feature": make_table({})})
    assert profile.left_out == {"y": "no rows with labels were there at the release"}


def test_an_absent_column_is_refused() -> None:
    watched = Watched((WatchedColumn("y", "y", "level"),), {})
    with pytest.raises(DataInvalid, match="no column 'y'; they have: x"):
        build_profile(Description("things", 1), watched, {"feature": make_table({"x": [1]})})


def test_a_column_of_another_type_is_refused() -> None:
    watched = Watched((WatchedColumn("x", "x", "number"),), {})
    with pytest.raises(DataInvalid, match="column 'x' of the reference rows: found string"):
        build_profile(Description("things", 1), watched, {"feature": make_table({"x": ["a"]})})


def test_sections_of_others_are_kept() -> None:
    about = Description("things", 1, sections={"calibration": {"slope": 1.0}})
    profile = build_profile(about, Watched((), {}), {"feature": make_table({"x": [1]})})
    assert read_profile(write_profile(profile)).sections == {"calibration": {"slope": 1.0}}


def test_a_reference_of_many_levels_has_a_bounded_document() -> None:
    profile = make_profile({"x": [f"id {at}" for at in range(30_000)]})
    assert len(write_profile(profile)) < 500_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format: found 2, allowed: 1; next: build it anew"),
        ({"columns": 5}, "is no reference profile"),
        ({"rows": "many"}, "is no reference profile"),
    ],
)
def test_another_document_is_refused(changes: dict[str, Any], words: str) -> None:
    values = json.loads(write_profile(make_whole())) | changes
    with pytest.raises(DataInvalid, match=words):
        read_profile(json.dumps(values), "profile.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"format": 1}', "nonsense"])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(DataInvalid, match=r"profile\.json"):
        read_profile(text, "profile.json")


def test_counts_that_do_not_fit_their_bins_are_refused() -> None:
    values = json.loads(write_profile(make_whole()))
    values["columns"][0]["counts"]["cells"] = [1, 2]
    with pytest.raises(DataInvalid, match="cells: found 2"):
        read_profile(json.dumps(values))


def test_an_age_that_cannot_be_counted_is_no_break() -> None:
    hired = pa.array([datetime(2026, 1, 1 + at % 28, at % 24, tzinfo=UTC) for at in range(N)])
    seen = pa.array([datetime(2026, 3, 1 + at % 20, tzinfo=UTC) for at in range(N)])
    watched = Watched(
        tuple(
            WatchedColumn(f"hired.{form}", "hired", form, origin="seen") for form in ("age", "hour")
        ),
        {},
    )
    table = pa.table({"hired": hired, "seen": seen})
    profile = build_profile(Description("things", 1), watched, {"feature": table})
    found = judge_drift(profile, profile.count_part(table.select(["hired"])))
    assert (found["data"].outcome, found["upstream"].outcome) == ("clean", "clean")
    age = next(one for one in found["data"].columns if one.column == "hired.age")
    assert age.tests[0].reason == "not enough data: 0 rows with a value, 500 needed"


def test_a_slice_column_of_many_values_has_the_slices_with_rows_only() -> None:
    names = ["often"] * N + [f"user {at}" for at in range(N)]
    profile = make_profile({"x": draw_normal(1, 2 * N), "user": names}, slices=("user",))
    assert list(profile.parts) == ["user=often"]
    found = profile.count_part(make_table({"x": draw_normal(2, 2 * N), "user": names}))
    assert {name: one.rows for name, one in found.slices.items()} == {"user=often": N}


def test_nulls_of_a_text_are_found_once() -> None:
    watched = Watched(
        tuple(
            WatchedColumn(f"title.{form}", "title", form) for form in ("length", "unknown_words")
        ),
        {},
    )
    texts = make_texts(1)
    profile = build_profile(
        Description("things", 1), watched, {"feature": make_table({"title": texts})}
    )
    now = make_table({"title": [None if at % 4 == 0 else one for at, one in enumerate(texts)]})
    found = judge_drift(profile, profile.count_part(now))["data"].columns
    assert [one.column for one in found if "null rate" in one.alarms] == ["title.length"]
