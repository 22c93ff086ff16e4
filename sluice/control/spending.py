"""Budgets: what calls of language models may cost, reserved before a call and settled after it.

Amounts are whole billionths of a US dollar, so that a thousand small costs add up exactly. An
amount is rounded up: a sum is never lower than what was spent.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Literal

BILLION = 1_000_000_000
BudgetScope = Literal["run", "service", "key", "user"]
BudgetPeriod = Literal["whole", "day", "week", "month"]


def count_billionths(dollars: float | Decimal) -> int:
    """Return US dollars as billionths, rounded up.

    Raises:
        ValueError: they are negative, or no number.
    """
    amount = Decimal(str(dollars))
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"a cost is a number of 0 and more, found {dollars}")
    return int((amount * BILLION).to_integral_value(ROUND_CEILING))


def write_dollars(billionths: int) -> str:
    """Return an amount as people read it, such as $0.0021."""
    return f"${Decimal(billionths) / BILLION:.4f}"


def name_period(period: BudgetPeriod, now: datetime) -> str:
    """Return the name of a period that a moment is in, by UTC: 2026-12-01, 2026-W49, 2026-12."""
    moment = now.astimezone(UTC)
    year, week, _ = moment.isocalendar()
    names = {
        "whole": "",
        "day": f"{moment:%Y-%m-%d}",
        "week": f"{year}-W{week:02}",
        "month": f"{moment:%Y-%m}",
    }
    return names[period]


@dataclass(frozen=True, order=True)
class Account:
    """Whose spending is counted, and in which period: one row of the control store."""

    scope: BudgetScope
    subject: str
    period: str = ""
    """As `name_period` gives it; empty for all time, as for one run of an evaluation."""

    def describe(self) -> str:
        """Return it in words."""
        return f"{self.scope} {self.subject}" + (f" in {self.period}" if self.period else "")


@dataclass(frozen=True)
class Budget:
    """The most that an account may spend, in billionths of a US dollar."""

    account: Account
    limit: int


@dataclass(frozen=True)
class Spent:
    """What an account has spent and reserved, in billionths of a US dollar, and its calls."""

    spent: int = 0
    reserved: int = 0
    calls: int = 0
    overruns: int = 0
    """Calls that cost more than was reserved for them."""
    unknown: int = 0
    """Calls whose cost nobody told; they count as what was reserved."""

    def describe(self, limit: int) -> str:
        """Return it in words beside its limit."""
        parts = f"{write_dollars(self.spent)} spent and {write_dollars(self.reserved)} reserved"
        return f"{parts} of {write_dollars(limit)}"


@dataclass(frozen=True)
class Reservation:
    """What is set aside for one call in each of its accounts, until it is settled or expires."""

    id: str
    amount: int
    accounts: tuple[Account, ...]


@dataclass(frozen=True)
class CallEnd:
    """How a call ended whose cost was reserved; a cost of None is unknown."""

    reservation: Reservation
    cost: int | None
    was_made: bool = True
    """False where it was never made, or cost nothing for certain: it is no call then."""

    @property
    def counted(self) -> int:
        """What counts: its cost, or all that was reserved where nobody told it."""
        if not self.was_made:
            return 0
        return self.reservation.amount if self.cost is None else self.cost

    @property
    def overrun(self) -> int:
        """How much more than reserved it cost."""
        return max(0, self.counted - self.reservation.amount)


@dataclass(frozen=True)
class BudgetRequest:
    """What the next call may cost, in every one of its budgets."""

    budgets: tuple[Budget, ...]
    amount: int


@dataclass(frozen=True)
class Settlement:
    """What became of a reservation: what was counted, and what to tell a person."""

    counted: int
    is_new: bool = True
    """False where it was settled before: nothing was counted again."""
    overrun: int = 0
    """How much more than reserved the call cost."""
    is_unknown: bool = False
    was_expired: bool = False
    """Whether its reservation had been given back before; its cost was counted all the same."""
