"""The volume of a batch is compared with the feed's own batches, and one small batch is normal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.data.batches.feed import RECENT, FeedLimits, compare_feed

SIZES = st.lists(st.integers(1, 5_000), min_size=1, max_size=60).map(tuple)
STRICT = FeedLimits(minimum_share=0.1, maximum_times=10.0)


@given(SIZES)
def test_a_batch_of_one_row_is_no_finding_by_default(earlier: tuple[int, ...]) -> None:
    found = compare_feed(1, earlier, FeedLimits())
    assert found is not None
    assert found.finding == ""


@given(SIZES, st.integers(1, 5_000))
def test_a_batch_within_the_largest_so_far_is_never_too_large(
    earlier: tuple[int, ...], rows: int
) -> None:
    found = compare_feed(min(rows, max(earlier)), earlier, FeedLimits())
    assert found is not None
    assert found.finding == ""


def test_rows_that_were_multiplied_are_a_finding() -> None:
    found = compare_feed(60_001, (6_000, 50, 70), FeedLimits())
    assert found is not None
    assert found.finding.startswith(
        "60,001 new rows, at most 60,000 expected: 10 times the largest"
    )


def test_the_first_batch_is_not_compared() -> None:
    assert compare_feed(5, (), STRICT) is None


@pytest.mark.parametrize(("small", "is_finding"), [(1, False), (3, False), (RECENT, True)])
def test_only_a_whole_window_of_small_batches_is_a_finding(small: int, is_finding: bool) -> None:
    """A weekend passes; a feed that dries up does not."""
    earlier = (100_000, *([1_000] * 30), *([5] * (small - 1)))
    found = compare_feed(5, earlier, STRICT)
    assert found is not None
    assert bool(found.finding) is is_finding


def test_a_large_first_file_does_not_make_the_feed_small() -> None:
    found = compare_feed(100, (1_000_000, *([100] * 13)), STRICT)
    assert found is not None
    assert found.finding == ""
