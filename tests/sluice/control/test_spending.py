"""Amounts, periods and words of budgets."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.control.spending import (
    BILLION,
    Account,
    Spent,
    count_billionths,
    name_period,
    write_dollars,
)


@given(st.decimals(min_value=0, max_value=10**6, places=12))
def test_an_amount_is_never_counted_lower_than_it_is(dollars: Decimal) -> None:
    counted = Decimal(count_billionths(dollars)) / BILLION
    assert dollars <= counted < dollars + Decimal(1) / BILLION


@pytest.mark.parametrize(("dollars", "billionths"), [(0.1, 100_000_000), (4.6e-05, 46_000), (0, 0)])
def test_a_float_is_counted_as_it_is_written(dollars: float, billionths: int) -> None:
    assert count_billionths(dollars) == billionths


@pytest.mark.parametrize("dollars", [-0.01, float("nan"), float("inf")])
def test_a_cost_is_a_number_of_0_and_more(dollars: float) -> None:
    with pytest.raises(ValueError, match="0 and more"):
        count_billionths(dollars)


def test_periods_are_named_by_utc() -> None:
    moment = datetime(2027, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=3)))
    names = [name_period(period, moment) for period in ("whole", "day", "week", "month")]
    assert names == ["", "2026-12-31", "2026-W53", "2026-12"]
    assert name_period("week", datetime(2027, 1, 4, tzinfo=UTC)) == "2027-W01"


def test_what_was_spent_is_told_beside_the_limit() -> None:
    words = Spent(spent=950_000_000, reserved=40_000_000).describe(BILLION)
    assert words == "$0.9500 spent and $0.0400 reserved of $1.0000"
    assert write_dollars(2_100_000) == "$0.0021"
    assert Account("key", "ci", "2026-12").describe() == "key ci in 2026-12"
