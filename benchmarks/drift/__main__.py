"""False alarms and power of the rule of drift, beside the usual limits on the same samples.

`python -m benchmarks.drift [--runs 200] [--classifiers 20] [--years 3]`. Thirty normal features, n
rows on both sides. The usual limits are taken as they are found in use: any of thirty p-values
below .05, any PSI above .1, any Jensen-Shannon distance above .1; the last two in our bins (deciles
of the reference) and in thirty equal-width bins, as several libraries make them.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.drift.bins import NumberBins
from sluice.drift.columns import Watched, WatchedColumn
from sluice.drift.counts import ColumnCounts, WindowCounts
from sluice.drift.findings import DEFAULT_LIMITS, ColumnDrift, DriftLimits
from sluice.drift.joint import compare_rows
from sluice.drift.profile import Description, ReferenceProfile, build_profile
from sluice.drift.rule import judge_drift
from sluice.drift.scores import Scores, bound_shares, score_shares
from sluice.drift.windows import NO_ALARM, advance_alarm

FEATURES = 30
SIZES = (100, 500, 1_000, 2_000, 5_000, 20_000)
SHIFTS = (0.0, 0.1, 0.2, 0.5)
NAMES = [f"x{at}" for at in range(FEATURES)]
WATCHED = Watched(tuple(WatchedColumn(name, name, "number") for name in NAMES), {})
WIDE_BINS = 30
RULES = ("rule", "any p < .05", "PSI > .1", "JS > .1", "PSI > .1, wide bins", "JS > .1, wide bins")
FALSE_TARGET, FOUND_TARGET = 0.02, 0.9
ANY_SIZE = DriftLimits(rows=1)
HOURS = 8_760
WINDOW_ROWS, REFERENCE_ROWS = 2_000, 20_000
JOINT_ROWS, CORRELATION = 5_000, 0.6


@dataclass
class Cell:
    """How many runs of one size and shift each rule answered."""

    runs: int = 0
    alarms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))

    def add(self, alarms: Mapping[str, bool]) -> None:
        """Count one run."""
        self.runs += 1
        for name, alarm in alarms.items():
            self.alarms[name] += alarm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--classifiers", type=int, default=20)
    parser.add_argument("--years", type=int, default=3)
    arguments = parser.parse_args()
    rows: list[Row] = []
    for n in SIZES:
        cells = play_size(n, arguments.runs)
        rows += list_rows(n, cells)
        say(f"n = {n:,}: " + ", ".join(f"{row.name} {row.value:.3f}" for row in rows[-9:]))
    rows += play_joint(arguments.classifiers)
    rows += play_years(arguments.years)
    notes = {
        "runs of a cell": arguments.runs,
        "features": FEATURES,
        "rows": "n on both sides",
        "years": f"{arguments.years} of {HOURS:,} windows of {WINDOW_ROWS:,} rows each",
        "classifiers": f"{arguments.classifiers} of {JOINT_ROWS:,} rows a side",
    }
    report("drift", rows, notes)


def play_size(n: int, runs: int) -> dict[float, Cell]:
    """Return the answers at one size, by shift of the first feature in standard deviations."""
    cells = {shift: Cell() for shift in SHIFTS}
    for run in range(runs):
        random = np.random.default_rng((n, run))
        reference, current = random.normal(size=(2, FEATURES, n))
        profile = make_profile(reference)
        for shift in SHIFTS:
            shifted = current.copy()
            shifted[0] += shift
            found = judge(profile, shifted)
            chosen = found if not shift else [one for one in found if one.column == NAMES[0]]
            wide = score_wide(reference, shifted, range(1 if shift else FEATURES))
            cells[shift].add(answer(chosen, wide, n >= DEFAULT_LIMITS.rows))
    return cells


def make_profile(columns: NDArray[np.float64]) -> ReferenceProfile:
    """Return the profile of thirty columns of numbers."""
    return build_profile(Description("bench", 0), WATCHED, {"feature": make_table(columns)})


def make_table(columns: NDArray[np.float64]) -> pa.Table:
    """Return columns of numbers as a table."""
    return pa.table(dict(zip(NAMES, columns, strict=True)))


def judge(profile: ReferenceProfile, columns: NDArray[np.float64]) -> list[ColumnDrift]:
    """Return what each column did, with p-values at any number of rows."""
    counted = profile.count_part(make_table(columns))
    return list(judge_drift(profile, counted, limits=ANY_SIZE)["data"].columns)


def score_wide(
    reference: NDArray[np.float64], current: NDArray[np.float64], places: range
) -> list[Scores]:
    """Return the scores in thirty bins of equal width over both samples."""
    found = []
    for place in places:
        edges = np.histogram_bin_edges(
            np.concatenate([reference[place], current[place]]), WIDE_BINS
        )
        counts = [np.histogram(one[place], edges)[0] for one in (reference, current)]
        found.append(score_shares(*map(bound_shares, counts)))
    return found


def answer(found: list[ColumnDrift], wide: list[Scores], enough: bool) -> dict[str, bool]:
    """Return what each rule says of these columns; without enough rows ours says nothing."""
    tests = [test for one in found for test in one.tests]
    scores = [one.scores for one in found if one.scores]
    return {
        "rule": enough and any(one.alarm for one in found),
        "any p < .05": any(test.p is not None and test.p < 0.05 for test in tests),
        "PSI > .1": any(one.psi > 0.1 for one in scores),
        "JS > .1": any(one.js > 0.1 for one in scores),
        "PSI > .1, wide bins": any(one.psi > 0.1 for one in wide),
        "JS > .1, wide bins": any(one.js > 0.1 for one in wide),
    }


def list_rows(n: int, cells: dict[float, Cell]) -> Iterator[Row]:
    """Yield the shares of runs: with an alarm without drift, and with the shifted one found."""
    for shift, cell in cells.items():
        for rule, count in cell.alarms.items():
            what = "false alarm" if not shift else f"{shift:g} sigma found"
            target, at_least = None, False
            if rule == "rule" and not shift:
                target = FALSE_TARGET
            if rule == "rule" and shift == 0.2 and n == 2_000:
                target, at_least = FOUND_TARGET, True
            name = f"n {n:,}: {what}, {rule}"
            yield Row(name, count / cell.runs, "of runs", target, at_least)


def play_joint(runs: int) -> list[Row]:
    """Return how often a change of correlation alone is found, by classifier and by columns."""
    counts = {"classifier": 0, "columns": 0, "classifier without a change": 0}
    for run in range(runs):
        random = np.random.default_rng(run)
        sides = random.normal(size=(3, FEATURES, JOINT_ROWS))
        changed = sides[1].copy()
        changed[1] = CORRELATION * changed[0] + np.sqrt(1 - CORRELATION**2) * changed[1]
        profile = make_profile(sides[0])
        tables = [make_table(one) for one in (sides[0], changed, sides[2])]
        counts["classifier"] += compare_rows(profile, *tables[:2]).outcome == "alarm"
        counts["columns"] += any(one.alarm for one in judge(profile, changed))
        same = compare_rows(profile, tables[0], tables[2])
        counts["classifier without a change"] += same.outcome == "alarm"
        say(f"### joint: {run + 1} of {runs}: {counts}")
    what = f"correlation 0 to {CORRELATION:g} of two of thirty"
    return [
        Row(f"{what}: found by the classifier", counts["classifier"] / runs, "of runs", 0.9, True),
        Row(f"{what}: found by a column", counts["columns"] / runs, "of runs", FALSE_TARGET),
        Row(
            "no change: alarm of the classifier",
            counts["classifier without a change"] / runs,
            "of runs",
            FALSE_TARGET,
        ),
    ]


def play_years(years: int) -> list[Row]:
    """Return the alarms of hourly windows without drift, and how often one opens in a year."""
    opened = alarmed = 0
    for year in range(years):
        random = np.random.default_rng(1_000 + year)
        profile = make_profile(random.uniform(size=(FEATURES, REFERENCE_ROWS)))
        state = NO_ALARM
        for hour in range(HOURS):
            outcome = judge_drift(profile, draw_window(profile, random))["data"].outcome
            state, change = advance_alarm(state, "data", float(hour), outcome)
            alarmed += outcome == "alarm"
            opened += change == "opened"
        say(f"### year {year + 1} of {years}: {alarmed} windows with an alarm, {opened} openings")
    return [
        Row("a year without drift: windows with an alarm", alarmed / years, "of 8,760"),
        Row("a year without drift: openings, 2 of 3 windows", opened / years, "a year"),
    ]


def draw_window(profile: ReferenceProfile, random: np.random.Generator) -> WindowCounts:
    """Return the counts of a window of uniform numbers.

    They are drawn as counts: how many of n rows lie in each cell is multinomial, with the cells'
    widths as probabilities.
    """
    columns = {}
    for name, one in profile.columns.items():
        assert isinstance(one.bins, NumberBins)
        widths = np.diff(one.bins.points, prepend=0.0, append=1.0)
        columns[name] = ColumnCounts(random.multinomial(WINDOW_ROWS, widths / widths.sum()))
    return WindowCounts(profile.bins, WINDOW_ROWS, columns)


if __name__ == "__main__":
    main()
