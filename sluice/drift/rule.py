"""The rule of drift: which columns changed, by how much, and whether that is an alarm.

A change is an alarm where chance does not explain it (p below .01 / tests made) *and* it is large
enough to matter (an effect floor), with at least 500 rows on both sides. The usual limits of the
population stability index and of the Jensen-Shannon distance give its severity.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sluice.drift.bins import NumberBins
from sluice.drift.columns import Role
from sluice.drift.counts import ColumnCounts, NewLevels, WindowCounts, count_none
from sluice.drift.findings import (
    DEFAULT_LIMITS,
    KINDS,
    ColumnDrift,
    DriftJudgement,
    DriftLimits,
    DriftTest,
    Kind,
    Outcome,
    SliceDrift,
)
from sluice.drift.profile import ReferenceColumn, ReferenceProfile
from sluice.drift.scores import (
    Scores,
    Tested,
    bound_shares,
    bound_unseen,
    compare_levels,
    compare_numbers,
    compare_shares,
    score_null_rates,
    score_shares,
    smooth_shares,
)
from sluice.errors import DataInvalid

SHOWN = 10
"""Most new levels that a finding names."""
SHOWN_CHARACTERS = 40
"""Longest part of a level that a finding shows."""


def judge_drift(
    profile: ReferenceProfile,
    current: WindowCounts,
    reference: WindowCounts | None = None,
    limits: DriftLimits = DEFAULT_LIMITS,
) -> dict[Kind, DriftJudgement]:
    """Judge a window against the reference: one judgement a kind.

    `reference` are other rows in the profile's bins, such as those of earlier windows; by default
    the profile's own. `upstream` has the columns that are gone, have another type, are all null or
    have new levels; they are among their own kind too.

    Raises:
        DataInvalid: the counts are in the bins of another reference.
    """
    other = reference if reference is not None else profile.reference
    _check_bins(profile, current, other)
    judged: dict[Kind, DriftJudgement] = {}
    for role, kind in KINDS.items():
        columns = _list_columns(profile, role)
        found = _decide(_measure(profile, columns, other, current, limits), limits)
        left_out = tuple(profile.left_out.items()) if role == "feature" else ()
        judged[kind] = _sum_up(kind, current.rows, found, left_out)
    judged["upstream"] = _find_breaks(judged, current, limits)
    return judged


def judge_slices(
    profile: ReferenceProfile,
    current: WindowCounts,
    reference: WindowCounts | None = None,
    limits: DriftLimits = DEFAULT_LIMITS,
) -> tuple[SliceDrift, ...]:
    """Judge the features in each slice of the reference, in its order.

    Alpha is divided by the tests of all slices. A slice with fewer than 500 rows on either side is
    listed with the reason.

    Raises:
        DataInvalid: the counts are in the bins of another reference.
    """
    other = reference if reference is not None else profile.reference
    _check_bins(profile, current, other)
    empty = WindowCounts(profile.bins, 0, {})
    columns = _list_columns(profile, "feature")
    measured: dict[str, list[ColumnDrift]] = {}
    found: dict[str, SliceDrift] = {}
    for name in profile.parts:
        before, now = other.slices.get(name, empty), current.slices.get(name, empty)
        reason = _find_shortage(before.rows, now.rows, limits, "rows")
        found[name] = SliceDrift(name, now.rows, reason=reason)
        if not reason:
            own = [one for one in columns if not name.startswith(f"{one.watched.source}=")]
            measured[name] = _measure(profile, own, before, now, limits)
    every = [one for part in measured.values() for one in part]
    decided = iter(_decide(every, limits, ranked=False))
    for name, part in measured.items():
        own_columns = _rank([next(decided) for _ in part])
        found[name] = replace(found[name], columns=own_columns)
    return tuple(found.values())


def _check_bins(profile: ReferenceProfile, current: WindowCounts, other: WindowCounts) -> None:
    for name, counts in (("the window", current), ("the reference", other)):
        if counts.bins != profile.bins:
            raise DataInvalid(
                f"{name} was counted in the bins of reference {counts.bins}, and the profile of "
                f"{profile.service} has the bins {profile.bins}: count the rows anew with it"
            )


def _list_columns(profile: ReferenceProfile, role: Role) -> list[ReferenceColumn]:
    return [one for one in profile.columns.values() if one.watched.role == role]


def _sum_up(
    kind: Kind, rows: int, found: Sequence[ColumnDrift], left_out: tuple[tuple[str, str], ...]
) -> DriftJudgement:
    own = [test for one in found for test in one.tests]
    outcome: Outcome = "clean" if any(test.judged for test in own) else "not judged"
    if any(test.alarm for test in own):
        outcome = "alarm"
    return DriftJudgement(kind, rows, _count_tests(found), outcome, tuple(found), left_out)


def _count_tests(found: Iterable[ColumnDrift]) -> int:
    return sum(test.p is not None for one in found for test in one.tests)


def _find_breaks(
    judged: dict[Kind, DriftJudgement], current: WindowCounts, limits: DriftLimits
) -> DriftJudgement:
    """Return the judgement of the pipeline before the model."""
    broken = _rank([one for part in judged.values() for one in part.columns if one.breaks])
    outcome: Outcome = "clean" if current.rows >= limits.rows else "not judged"
    reason = "the release did not know this column"
    unknown = tuple((name, reason) for name in sorted(current.unknown))
    return DriftJudgement(
        "upstream", current.rows, 0, "alarm" if broken else outcome, broken, unknown
    )


def _decide(
    found: Sequence[ColumnDrift], limits: DriftLimits, ranked: bool = True
) -> tuple[ColumnDrift, ...]:
    """Return the columns with their alarms: alpha is divided by the number of tests."""
    alpha = limits.alpha / max(_count_tests(found), 1)
    decided = [
        replace(one, tests=tuple(_decide_test(test, alpha) for test in one.tests)) for one in found
    ]
    return _rank(decided) if ranked else tuple(decided)


def _decide_test(test: DriftTest, alpha: float) -> DriftTest:
    if test.reason or test.effect is None or test.floor is None:
        return test
    unlikely = test.p is None or test.p < alpha
    return replace(test, alarm=unlikely and test.effect > test.floor)


def _rank(found: Sequence[ColumnDrift]) -> tuple[ColumnDrift, ...]:
    """Return alarms first, then by drift x importance; where that is not known, by drift."""

    def place(one: ColumnDrift) -> tuple[bool, float, float, str]:
        factor = 1.0 if one.importance is None else one.importance
        return not one.alarm, -one.drift * factor, -one.drift, one.column

    return tuple(sorted(found, key=place))


def _measure(
    profile: ReferenceProfile,
    columns: Sequence[ReferenceColumn],
    reference: WindowCounts,
    current: WindowCounts,
    limits: DriftLimits,
) -> list[ColumnDrift]:
    total = sum(profile.importance.values())
    found = []
    for one in columns:
        share = profile.importance.get(one.watched.source, 0.0) / total if total else None
        importance = share if one.watched.role == "feature" else None
        before = reference.columns.get(one.name, count_none(one.bins))
        now = current.columns.get(one.name, count_none(one.bins))
        found.append(
            replace(_measure_column(one, before, now, current.rows, limits), importance=importance)
        )
    return found


def _measure_column(
    one: ReferenceColumn, before: ColumnCounts, now: ColumnCounts, rows: int, limits: DriftLimits
) -> ColumnDrift:
    tests = [
        _test_distribution(one, before, now, limits),
        *_test_levels(one, before, now, limits),
    ]
    # A row without an outcome has no label yet: that is no change of the outcomes.
    if one.watched.is_first and one.watched.role != "label":
        tests += _test_nulls(before, now, limits)
        tests += _test_presence(one, now, rows, limits)
    nulls = before.nulls + now.nulls
    has_rates = bool(one.watched.is_first and before.rows and now.rows and nulls)
    rates = (before.nulls, before.rows), (now.nulls, now.rows)
    return ColumnDrift(
        column=one.name,
        source=one.watched.source,
        kind=KINDS[one.watched.role],
        reference_rows=before.rows,
        rows=now.rows,
        scores=score_column(one, before, now),
        null_scores=score_null_rates(*rates) if has_rates else None,
        null_rates=(before.nulls / before.rows, now.nulls / now.rows) if has_rates else None,
        tests=tuple(tests),
        new_levels=_name_new(_find_new(before, now)),
    )


def score_column(one: ReferenceColumn, before: ColumnCounts, now: ColumnCounts) -> Scores | None:
    """Return the scores of a column's values; None where a side has none."""
    if not before.filled or not now.filled:
        return None
    if isinstance(one.bins, NumberBins):
        binned = [bound_shares(one.bins.gather(part.cells)) for part in (before, now)]
        return score_shares(*binned)
    levels = _list_levels(before, now)
    used = levels.sum(axis=0) > 0
    return score_shares(*(smooth_shares(side[used]) for side in levels))


def _list_levels(before: ColumnCounts, now: ColumnCounts) -> NDArray[np.int64]:
    """Return the rows of each level, shape (2, levels): one that the profile lacks has its own.

    Together the new levels of a window would look like one, which the reference never had. The last
    place has the rows whose level is not kept by name.
    """
    names = sorted({*before.new.rows, *now.new.rows})
    sides = []
    for side in (before, now):
        new = [side.new.rows.get(name, 0) for name in names]
        sides.append([*side.cells[:-1], *new, int(side.cells[-1]) - sum(new)])
    return np.array(sides, dtype=np.int64)


def _find_shortage(before: int, now: int, limits: DriftLimits, what: str) -> str:
    if now < limits.rows:
        return f"not enough data: {now:,} {what}, {limits.rows:,} needed"
    if before < limits.rows:
        return f"not enough data: {before:,} {what} of the reference, {limits.rows:,} needed"
    return ""


def _test_distribution(
    one: ReferenceColumn, before: ColumnCounts, now: ColumnCounts, limits: DriftLimits
) -> DriftTest:
    if now.unreadable and not now.filled:
        reason = f"{now.unreadable:,} rows are of another type: {now.found}"
    elif now.nulls and not now.filled:
        reason = f"all {now.nulls:,} rows are null"
    else:
        reason = _find_shortage(before.filled, now.filled, limits, "rows with a value")
    if reason:
        return DriftTest("distribution", reason=reason)
    if one.constant is not None and not before.cells[1:].any():
        changed = int(now.cells[1:].sum()) / now.filled
        note = f"the reference has one value only: {_shorten(one.constant)}"
        return DriftTest("constant", changed, 0.0, note=note)
    if isinstance(one.bins, NumberBins):
        tested = compare_numbers(before.cells, now.cells)
        return DriftTest("distribution", tested.statistic, limits.d, tested.p)
    return _test_frequencies(one, before, now, limits)


def _test_frequencies(
    one: ReferenceColumn, before: ColumnCounts, now: ColumnCounts, limits: DriftLimits
) -> DriftTest:
    tested: Tested | None = compare_levels(*_list_levels(before, now))
    scores = score_column(one, before, now)
    if tested is None or scores is None:
        return DriftTest("distribution", reason="fewer than two levels have enough rows to compare")
    return DriftTest("distribution", scores.psi, limits.psi, tested.p, note=tested.note)


def _test_nulls(before: ColumnCounts, now: ColumnCounts, limits: DriftLimits) -> list[DriftTest]:
    """Return the tests of a column that can be null: one that was null in either sample."""
    if not before.nulls and not now.nulls:
        return []
    reason = _find_shortage(before.rows, now.rows, limits, "rows")
    if reason:
        return [DriftTest("null rate", reason=reason)]
    found = []
    tested = compare_shares((before.nulls, before.rows), (now.nulls, now.rows))
    if tested is not None:
        apart = abs(tested.statistic)
        found.append(DriftTest("null rate", apart, limits.null_rate, tested.p))
    if not now.filled and before.filled:
        found.append(DriftTest("all null", 1.0, 0.0))
    return found


def _test_levels(
    one: ReferenceColumn, before: ColumnCounts, now: ColumnCounts, limits: DriftLimits
) -> list[DriftTest]:
    """Return the test of levels that the reference lacks; none for numbers.

    Its effect is their share beyond what chance explains, where the reference has rare levels.
    """
    if isinstance(one.bins, NumberBins) or one.constant is not None or not now.filled:
        return []
    if one.bins.rest:
        known = len(one.bins.levels)
        reason = f"the reference has {known + one.bins.rest:,} levels, of which {known:,} are kept"
        return [DriftTest("new levels", reason=reason)]
    reason = _find_shortage(before.filled, now.filled, limits, "rows with a value")
    if reason:
        return [DriftTest("new levels", reason=reason)]
    new = _find_new(before, now)
    known = sum(now.new.rows.values()) - sum(new.rows.values())
    share = (int(now.cells[-1]) - known) / now.filled
    number = new.estimate_number()
    about = "about " if new.is_sample else ""
    note = f"{about}{number:,} new level{'s' if number != 1 else ''}" if number else ""
    levels = np.array([*before.cells[:-1], *before.new.rows.values()], dtype=np.int64)
    beyond = max(share - bound_unseen(levels, now.filled), 0.0)
    return [DriftTest("new levels", beyond, limits.new_share, note=note)]


def _find_new(before: ColumnCounts, now: ColumnCounts) -> NewLevels:
    """Return the new levels of a window, without those that its reference has as well.

    Earlier windows of traffic can have levels that the profile, whose bins count them, lacks.
    """
    rows = {name: count for name, count in now.new.rows.items() if name not in before.new.rows}
    return NewLevels(rows, now.new.is_sample and bool(rows))


def _test_presence(
    one: ReferenceColumn, now: ColumnCounts, rows: int, limits: DriftLimits
) -> list[DriftTest]:
    """Return the tests of a feature that rows lack, or that has another type in them.

    Predictions and labels of the window's rows may come from elsewhere, and later.
    """
    found = []
    if one.watched.role == "feature" and rows:
        lacking = rows - now.rows - now.unreadable
        for finding, bad, note in (
            ("missing column", lacking, f"{lacking:,} of {rows:,} rows have no such column"),
            ("type", now.unreadable, now.found),
        ):
            if bad > 0:
                reason = _find_shortage(limits.rows, rows, limits, "rows")
                share = None if reason else bad / rows
                found.append(DriftTest(finding, share, 0.0, reason=reason, note=note))  # type: ignore[arg-type]
    return found


def _name_new(new: NewLevels) -> tuple[str, ...]:
    """Return the most frequent new levels, shortened."""
    rows = new.rows
    order = sorted(rows, key=lambda name: (-rows[name], name))
    return tuple(_shorten(name) for name in order[:SHOWN])


def _shorten(level: str) -> str:
    return level if len(level) <= SHOWN_CHARACTERS else f"{level[: SHOWN_CHARACTERS - 3]}..."
