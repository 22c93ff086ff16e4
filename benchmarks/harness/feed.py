"""A simulated feed of a shop's parcels: what arrives on which day, and which rows of it are bad."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Event = Literal["", "weekend", "late backfill", "new category", "bad day", "new column"]
FIRST_DAY = pd.Timestamp("2026-01-05", tz="UTC")
FIRST_DAYS, FIRST_ROWS = 60, 6_000
FEWEST, MOST = 50, 5_000
REGIONS = ("north", "south", "east", "west")
NEW_REGION, NEW_SHARE = "islands", 0.02
BAD_SHARE = 0.3


@dataclass(frozen=True)
class FeedDay:
    """One day's delivery; `bad_ids` are the rows with a planted fault."""

    number: int
    event: Event
    rows: pd.DataFrame
    bad_ids: frozenset[int] = frozenset()


def make_first_file(seed: int) -> pd.DataFrame:
    """Return the rows of the sixty days before the feed begins."""
    generator = np.random.default_rng(seed)
    days = np.sort(generator.integers(-FIRST_DAYS, 0, FIRST_ROWS))
    return _make_rows(generator, days, 0)


def simulate_feed(days: int, seed: int) -> Iterator[FeedDay]:
    """Yield the deliveries of the days from 1 on: 50 to 5,000 rows, few at weekends.

    A late backfill, a new category (it stays), a bad day and a new column come once each, spread
    over the days.
    """
    generator = np.random.default_rng(seed + 1)
    once: dict[int, Event] = {
        max(2, round(days * 0.2)): "new category",
        max(3, round(days * 0.4)): "late backfill",
        max(4, round(days * 0.6)): "bad day",
        max(5, round(days * 0.8)): "new column",
    }
    began = {event: number for number, event in once.items()}
    following = FIRST_ROWS
    for number in range(1, days + 1):
        is_weekend = (FIRST_DAY + pd.Timedelta(days=number)).day_of_week >= 5
        event = once.get(number, "weekend" if is_weekend else "")
        size = _draw_size(generator, event)
        days_of_rows = np.full(size, number)
        if event == "late backfill":
            days_of_rows = np.sort(generator.integers(-FIRST_DAYS, number - 1, size))
        rows = _make_rows(generator, days_of_rows, following)
        following += size
        if number >= began["new category"]:
            chosen = generator.random(size) < NEW_SHARE
            rows.loc[chosen, "region"] = NEW_REGION
        bad: frozenset[int] = frozenset()
        if event == "bad day":
            rows, bad = _spoil(generator, rows)
        if number >= began["new column"]:
            rows["channel"] = generator.choice(["shop", "web"], size)
        yield FeedDay(number, event, rows, bad)


def _draw_size(generator: np.random.Generator, event: Event) -> int:
    if event == "weekend":
        return int(generator.integers(FEWEST, 3 * FEWEST))
    if event in ("bad day", "late backfill"):
        return 1_000
    return int(np.clip(generator.lognormal(np.log(900.0), 0.9), FEWEST, MOST))


def _make_rows(
    generator: np.random.Generator, days: NDArray[np.int64], first_id: int
) -> pd.DataFrame:
    size = len(days)
    seconds = pd.to_timedelta(generator.integers(0, 86_400, size), unit="s")
    placed = FIRST_DAY + pd.to_timedelta(days, unit="D") + seconds
    weight = generator.gamma(4.0, 1.0, size).round(3)
    items = generator.integers(1, 9, size)
    odds = 0.5 * (weight - 4.0) + 0.2 * (items - 4) + generator.logistic(size=size)
    return pd.DataFrame(
        {
            "parcel_id": np.arange(first_id, first_id + size),
            "placed": placed.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "month": placed.month,
            "week": placed.isocalendar().week.to_numpy(dtype=np.int64),
            "day_index": days + FIRST_DAYS,
            "region": pd.Series(generator.choice(REGIONS, size), dtype=object),
            "weight": weight,
            "items": items,
            "late": np.where(odds > 0.0, "yes", "no"),
        }
    )


def _spoil(
    generator: np.random.Generator, rows: pd.DataFrame
) -> tuple[pd.DataFrame, frozenset[int]]:
    """Plant a unit error: grams in place of kilograms, in three of ten rows."""
    chosen = generator.random(len(rows)) < BAD_SHARE
    spoiled = rows.copy()
    spoiled.loc[chosen, "weight"] = (spoiled.loc[chosen, "weight"] * 1000.0).round(3)
    heavy = chosen & (spoiled["weight"] > 200.0).to_numpy()
    return spoiled, frozenset(int(value) for value in spoiled.loc[heavy, "parcel_id"])
