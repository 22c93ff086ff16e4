"""The volume of a feed: a batch compared with the batches before it."""

from dataclasses import dataclass
from statistics import fmean, median

WINDOW = 28
"""Batches that a new one is compared with."""
RECENT = 7
"""Batches, the new one included, whose mean is compared with the usual batch."""


@dataclass(frozen=True)
class FeedLimits:
    """The limits on a feed's volume.

    `minimum_share`: least mean of the last seven batches, as a share of the usual batch; 0: off.
    `maximum_times`: largest batch, as a multiple of the largest one so far. `window`: how many
    earlier batches the usual one is the median of.
    """

    minimum_share: float = 0.0
    maximum_times: float = 10.0
    window: int = WINDOW


@dataclass(frozen=True)
class FeedComparison:
    """One figure of a feed: `rows` compared with `limit`, and the finding if it is outside."""

    rows: float
    limit: float
    n: int
    finding: str = ""


def compare_feed(rows: int, earlier: tuple[int, ...], limits: FeedLimits) -> FeedComparison | None:
    """Compare a batch of `rows` with the earlier batches, oldest first; None: there are none.

    A single small batch is never a finding: a batch may have one row, and a weekend has few. The
    mean of the last seven is, once there are as many batches before these to compare it with.
    """
    if not earlier:
        return None
    most = limits.maximum_times * max(earlier)
    if rows > most:
        return FeedComparison(
            rows,
            most,
            len(earlier),
            f"{rows:,} new rows, at most {most:,.0f} expected: {limits.maximum_times:g} times the "
            "largest batch so far; a join may have multiplied rows",
        )
    recent, before = [*earlier[len(earlier) - RECENT + 1 :], rows], earlier[: 1 - RECENT]
    if limits.minimum_share > 0.0 and len(before) >= RECENT:
        least = limits.minimum_share * median(before[-limits.window :])
        mean = fmean(recent)
        if mean < least:
            return FeedComparison(
                mean,
                least,
                len(before),
                f"the last {RECENT} batches have {mean:,.1f} rows on average, at least "
                f"{least:,.1f} expected: {limits.minimum_share:g} of the usual batch",
            )
    return FeedComparison(rows, most, len(earlier))
