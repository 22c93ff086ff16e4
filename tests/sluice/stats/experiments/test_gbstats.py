"""Means, ratios, CUPED and looks are those of GrowthBook's gbstats, where it is installed."""

import pytest

from benchmarks.experiments.oracle import PYTHON, compare_with_gbstats


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="gbstats is not installed: make bench-experiments")
def test_figures_are_those_of_gbstats() -> None:
    rows = list(compare_with_gbstats())
    assert len(rows) == 7
    assert [row for row in rows if not row.met] == []
