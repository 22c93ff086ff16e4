"""The rule of drift, and each trap that a naive one falls into."""

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sluice.drift.columns import Watched, WatchedColumn
from sluice.drift.findings import ColumnDrift, DriftJudgement, DriftTest
from sluice.drift.profile import Description, ReferenceProfile, build_profile
from sluice.drift.rule import judge_drift, judge_slices
from sluice.errors import DataInvalid
from support.drift import draw_normal, make_profile, make_table

RANDOM = np.random.default_rng(11)
N = 2000


def judge(profile: ReferenceProfile, columns: dict[str, Any], kind: str = "data") -> DriftJudgement:
    found = judge_drift(profile, profile.count_part(make_table(columns)))
    for one in found.values():
        json.dumps(one.to_dict(), allow_nan=False)
    return found[kind]  # type: ignore[index]


def one_column(reference: Any, current: Any) -> ColumnDrift:
    return judge(make_profile({"x": reference}), {"x": current}).columns[0]


def test_of(column: ColumnDrift, finding: str) -> DriftTest:
    return next(one for one in column.tests if one.finding == finding)


test_of.__test__ = False  # type: ignore[attr-defined]


def spread_zeros(share: float, rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random(rows) < share, 0.0, random.exponential(size=rows))


def test_the_same_rows_are_clean() -> None:
    values = draw_normal(1, N)
    found = one_column(values, values)
    assert (found.alarms, found.severity) == ((), "small")
    assert found.scores is not None
    assert (found.scores.psi, found.scores.js) == (0.0, 0.0)


def test_a_shift_is_found() -> None:
    found = one_column(draw_normal(1, N), draw_normal(2, N, 0.5))
    assert found.alarms == ("distribution",)
    assert found.severity == "moderate"


def test_95_percent_zeros_that_fall_to_60_are_significant() -> None:
    found = one_column(spread_zeros(0.95, 20_000, 1), spread_zeros(0.60, 20_000, 2))
    assert found.alarm
    assert found.scores is not None
    assert found.scores.psi == pytest.approx(0.88, abs=0.05)
    assert found.severity == "significant"


def test_a_binary_column_from_5_to_30_percent_is_significant() -> None:
    reference = np.where(np.arange(N) % 20 == 0, 1.0, 0.0)
    current = np.where(np.arange(N) % 10 < 3, 1.0, 0.0)
    found = one_column(reference, current)
    assert found.alarms == ("distribution",)
    assert found.severity == "significant"


def test_a_constant_that_stays_is_clean() -> None:
    found = one_column([7.0] * N, [7.0] * N)
    assert not found.alarm
    assert test_of(found, "constant").judged


def test_a_constant_that_moves_in_one_row_is_an_alarm() -> None:
    found = one_column(["a"] * N, ["a"] * (N - 1) + ["b"])
    assert found.alarms == ("constant",)
    assert found.new_levels == ("b",)


def test_a_column_that_becomes_constant_is_found() -> None:
    found = one_column(draw_normal(1, N), np.zeros(N))
    assert found.alarms == ("distribution",)


def test_one_nan_is_no_alarm() -> None:
    values = draw_normal(1, N)
    found = one_column(values, np.where(np.arange(N) == 5, np.nan, values))
    assert not found.alarm
    assert found.null_rates == (0.0, 1 / N)


def test_infinite_numbers_are_null() -> None:
    values = draw_normal(1, N)
    found = one_column(values, np.where(np.arange(N) % 5 == 0, np.inf, values))
    assert found.alarms == ("null rate",)


def test_nulls_above_the_floor_are_an_alarm() -> None:
    current = [None if at % 20 == 0 else "a" for at in range(N)]
    reference = ["a", "b"] * (N // 2)
    found = judge(make_profile({"x": reference}), {"x": current}).columns[0]
    assert "null rate" in found.alarms
    assert test_of(found, "null rate").effect == pytest.approx(0.05)


def test_nulls_below_the_floor_are_none() -> None:
    values = draw_normal(1, 50_000)
    current = np.where(np.arange(50_000) % 100 == 0, np.nan, values)
    found = one_column(values, current)
    null = test_of(found, "null rate")
    assert (null.alarm, null.p is not None and null.p < 1e-6) == (False, True)


def test_all_nulls_are_a_break_and_the_values_are_not_judged() -> None:
    found = one_column(draw_normal(1, N), pa.nulls(N, pa.float64()))
    assert set(found.alarms) == {"null rate", "all null"}
    assert found.breaks == ("all null",)
    assert test_of(found, "distribution").reason == "all 2,000 rows are null"
    assert found.scores is None


def test_an_empty_window_is_not_judged() -> None:
    profile = make_profile({"x": draw_normal(1, N), "city": ["a", "b"] * (N // 2)})
    for part in ({}, {"x": pa.array([], pa.float64()), "city": pa.array([], pa.string())}):
        found = judge(profile, part)
        assert (found.outcome, found.tests, found.rows) == ("not judged", 0, 0)
        reasons = {test.reason for one in found.columns for test in one.tests}
        assert reasons == {"not enough data: 0 rows with a value, 500 needed"}


def test_499_rows_are_not_judged() -> None:
    found = judge(make_profile({"x": draw_normal(1, N)}), {"x": draw_normal(2, 499, 3.0)})
    assert found.outcome == "not judged"
    assert found.columns[0].scores is not None
    assert found.columns[0].tests[0].reason.startswith("not enough data: 499 rows")


def test_a_reference_of_499_rows_is_not_judged() -> None:
    found = judge(make_profile({"x": draw_normal(1, 499)}), {"x": draw_normal(2, N, 3.0)})
    assert found.outcome == "not judged"
    assert "of the reference" in found.columns[0].tests[0].reason


def test_unequal_lengths_are_compared_as_shares() -> None:
    found = one_column(draw_normal(1, 50_000), draw_normal(2, 700, 0.5))
    assert found.alarm
    assert (found.reference_rows, found.rows) == (50_000, 700)
    assert not one_column(draw_normal(1, 50_000), draw_normal(3, 700)).alarm


def test_new_levels_above_half_a_percent_break_at_once() -> None:
    profile = make_profile({"x": ["a", "b"] * (N // 2)})
    few, many = (["a", "b"] * 990 + ["z"] * new + ["a"] * (20 - new) for new in (10, 11))
    assert not judge(profile, {"x": few}).columns[0].alarm
    found = judge(profile, {"x": many})
    assert found.columns[0].breaks == ("new levels",)
    assert found.columns[0].new_levels == ("z",)
    upstream = judge(profile, {"x": many}, "upstream")
    assert (upstream.outcome, upstream.columns) == ("alarm", found.columns)


def test_a_million_levels_are_shown_in_few_words() -> None:
    profile = make_profile({"x": ["a", "b"] * (N // 2)})
    found = judge(profile, {"x": [f"{at}{'y' * 90}" for at in range(20_000)]}).columns[0]
    assert "new levels" in found.alarms
    assert len(found.new_levels) == 10
    assert max(map(len, found.new_levels)) <= 40
    assert re.fullmatch(r"about \d\d,\d{3} new levels", test_of(found, "new levels").note)


def test_a_reference_of_too_many_levels_does_not_judge_new_ones() -> None:
    names = [f"id {at}" for at in range(12_000)]
    found = judge(make_profile({"x": names}), {"x": names[::4]}).columns[0]
    assert not found.alarm
    assert "12,000 levels, of which 10,000" in test_of(found, "new levels").reason


def draw_levels(seed: int, levels: int, rows: int, power: float) -> list[str]:
    shares = 1.0 / np.arange(1, levels + 1) ** power
    drawn = np.random.default_rng(seed).choice(levels, rows, p=shares / shares.sum())
    return [f"id {at}" for at in drawn.tolist()]


@pytest.mark.parametrize(
    ("levels", "power", "rows"),
    [(2_000, 0.0, 4_000), (2_000, 1.0, 4_000), (30_000, 0.0, 40_000), (50_000, 1.0, 60_000)],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_many_levels_without_drift_are_clean(
    levels: int, power: float, rows: int, seed: int
) -> None:
    """A reference lacks some levels, and has others often, by chance alone."""
    profile = make_profile({"x": draw_levels(seed, levels, rows, power)})
    current = {"x": draw_levels(100 + seed, levels, N, power)}
    assert judge(profile, current).columns[0].alarms == ()
    assert judge(profile, current, "upstream").outcome == "clean"


def test_many_levels_with_drift_are_found() -> None:
    profile = make_profile({"x": draw_levels(1, 2_000, 4_000, 1.0)})
    current = draw_levels(2, 2_000, N, 1.0)
    renamed = [f"new {name}" if at % 5 == 0 else name for at, name in enumerate(current)]
    assert judge(profile, {"x": renamed}).columns[0].breaks == ("new levels",)
    fewer = [name if at % 5 else "id 0" for at, name in enumerate(current)]
    assert judge(profile, {"x": fewer}).columns[0].alarms == ("distribution",)


def test_rows_without_a_label_are_not_judged() -> None:
    about, watched = Description("things", 3), WatchedColumn("x", "x", "level", "label")
    table = make_table({"x": ["a", "b"] * (N // 2)})
    profile = build_profile(about, Watched((watched,), {}), {"label": table})
    for share in (0.5, 0.0):
        labels = [name if at < share * N else None for at, name in enumerate(["a", "b"] * 1_000)]
        current = {"x": pa.array(labels, pa.string())}
        assert judge(profile, current, "label").outcome == ("clean" if share else "not judged")
        assert judge(profile, current, "upstream").outcome == "clean"


def test_labels_of_another_type_say_so() -> None:
    about, watched = Description("things", 3), WatchedColumn("x", "x", "number", "label")
    profile = build_profile(
        about, Watched((watched,), {}), {"label": make_table({"x": draw_normal(1, N)})}
    )
    found = judge(profile, {"x": ["high"] * N}, "label").columns[0]
    assert found.tests[0].reason == "2,000 rows are of another type: found string, allowed: numbers"


def test_a_missing_column_is_a_break() -> None:
    profile = make_profile({"x": draw_normal(1, N), "y": draw_normal(2, N)})
    found = judge(profile, {"x": draw_normal(3, N)})
    assert (found.columns[0].column, found.columns[0].breaks) == ("y", ("missing column",))
    assert found.columns[0].severity == "significant"


def test_a_column_that_some_rows_lack_is_a_break() -> None:
    profile = make_profile({"x": draw_normal(1, N), "y": draw_normal(2, N)})
    whole = make_table({"x": draw_normal(3, N), "y": draw_normal(4, N)})
    counts = profile.count_rows([whole, whole.select(["x"])])
    found = judge_drift(profile, counts)["upstream"].columns[0]
    assert test_of(found, "missing column").note == "2,000 of 4,000 rows have no such column"


def test_another_type_is_a_break() -> None:
    profile = make_profile({"x": draw_normal(1, N)})
    found = judge(profile, {"x": ["1.5"] * N}).columns[0]
    assert found.breaks == ("type",)
    assert test_of(found, "type").note == "found string, allowed: numbers"


def test_an_unknown_column_is_listed() -> None:
    profile = make_profile({"x": draw_normal(1, N)})
    found = judge(profile, {"x": draw_normal(2, N), "id": [1] * N, "extra": [1] * N}, "upstream")
    assert found.left_out == (("extra", "the release did not know this column"),)
    assert found.outcome == "clean"


def test_alpha_is_divided_by_the_tests() -> None:
    reference = {f"x{at}": draw_normal(at, N) for at in range(30)}
    current = {f"x{at}": draw_normal(100 + at, N) for at in range(30)}
    found = judge(make_profile(reference), current)
    assert found.tests == 30
    assert found.outcome == "clean"
    assert any(test.p is not None and test.p < 0.05 for one in found.columns for test in one.tests)


def test_an_effect_too_small_to_matter_is_no_alarm() -> None:
    found = one_column(draw_normal(1, 200_000), draw_normal(2, 200_000, 0.03))
    distribution = test_of(found, "distribution")
    assert distribution.p is not None
    assert distribution.p < 1e-6
    assert not found.alarm


def test_what_matters_comes_first() -> None:
    reference = {name: draw_normal(at, N) for at, name in enumerate("abc")}
    current = {
        "a": draw_normal(10, N, 1.0),
        "b": draw_normal(11, N, 0.4),
        "c": draw_normal(12, N),
    }
    profile = make_profile(reference, importance={"a": 0.001, "b": 0.2, "c": 0.5})
    found = judge(profile, current).columns
    assert [one.column for one in found] == ["b", "a", "c"]
    assert found[0].importance == pytest.approx(0.2 / 0.701)
    assert [one.column for one in judge(make_profile(reference), current).columns] == list("abc")


def test_slices_are_judged_where_they_have_the_rows() -> None:
    sides = np.where(np.arange(4000) % 4 == 0, "left", "right")
    names = np.where(np.arange(4000) % 10 == 0, "rare", sides)
    profile = make_profile({"x": draw_normal(1, 4000), "side": names}, slices=("side",))
    moved = np.where(names == "left", draw_normal(2, 4000, 1.0), draw_normal(3, 4000))
    found = judge_slices(profile, profile.count_part(make_table({"x": moved, "side": names})))
    by_name = {one.name: one for one in found}
    assert [one.column for one in by_name["side=left"].alarmed] == ["x"]
    assert by_name["side=right"].alarmed == ()
    assert by_name["side=rare"].reason == "not enough data: 400 rows, 500 needed"


def test_earlier_windows_can_be_the_reference() -> None:
    profile = make_profile({"x": draw_normal(1, N)})
    summer = make_table({"x": draw_normal(2, N, 2.0)})
    now = profile.count_part(make_table({"x": draw_normal(3, N, 2.0)}))
    assert judge_drift(profile, now)["data"].outcome == "alarm"
    assert judge_drift(profile, now, profile.count_part(summer))["data"].outcome == "clean"


def test_levels_of_earlier_windows_are_not_new() -> None:
    profile = make_profile({"x": ["a", "b"] * (N // 2), "y": ["a"] * N})
    before, now, later = (
        profile.count_part(make_table({"x": names * (N // 4), "y": names * (N // 4)}))
        for names in (["a", "b", "c", "a"], ["b", "a", "a", "c"], ["a", "b", "c", "z"])
    )
    assert judge_drift(profile, now)["upstream"].outcome == "alarm"
    assert judge_drift(profile, now, before)["data"].outcome == "clean"
    found = judge_drift(profile, later, before)["upstream"].columns
    assert [(one.column, one.new_levels) for one in found] == [("x", ("z",))]


def test_counts_of_another_profile_are_refused() -> None:
    profile, other = (make_profile({"x": draw_normal(seed, N)}) for seed in (1, 2))
    with pytest.raises(DataInvalid, match="count the rows anew"):
        judge_drift(profile, other.count_part(None))
    with pytest.raises(DataInvalid, match="count the rows anew"):
        judge_slices(profile, profile.count_part(None), other.count_part(None))
