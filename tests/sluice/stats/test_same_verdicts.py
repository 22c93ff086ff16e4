"""Seeded candidates near their limits: influence functions give the verdicts that draws give."""

import pytest

from benchmarks.influence import NEAR, compare_case

CASES, ROWS = 24, 2_500


@pytest.mark.slow
def test_verdicts_agree_and_the_others_lie_at_a_limit() -> None:
    """All kinds of problem, with and without groups; `make bench-influence` has 200 cases."""
    found = [compare_case(case, ROWS) for case in range(CASES)]
    others = [one for one in found if not one.same]
    assert len(others) <= 1
    assert all(one.apart <= 2 * NEAR for one in others)
    assert {one.problem for one in found} == {"binary", "multiclass", "regression"}
    assert {one.grouped for one in found} == {True, False}
    assert len({one.outcome for one in found}) == 3
