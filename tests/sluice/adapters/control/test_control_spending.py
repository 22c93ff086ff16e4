"""Budgets: nothing overspends, nothing that was spent is lost, what a dead process held returns."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from sluice.adapters.control.store import Control
from sluice.control.spending import Account, Budget, Spent
from sluice.errors import BudgetExceeded
from sluice.home import Home

RUN = Account("run", "r1")
DAY = Account("service", "summarize", "2026-12-01")
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CAP = [Budget(RUN, 100)]


def test_a_settled_call_counts_its_cost_and_gives_back_the_rest(control: Control) -> None:
    reservation = control.spending.reserve(CAP, 60, 30, NOW)
    assert control.spending.find(RUN) == Spent(reserved=60)
    settled = control.spending.settle(reservation, 25, NOW)
    assert (settled.counted, settled.is_new, settled.overrun) == (25, True, 0)
    assert control.spending.find(RUN) == Spent(spent=25, calls=1)


def test_what_does_not_fit_is_refused_with_the_figures(control: Control) -> None:
    control.spending.reserve(CAP, 60, 30, NOW)
    with pytest.raises(BudgetExceeded, match=r"budget of run r1: .* spent and .* reserved of"):
        control.spending.reserve(CAP, 41, 30, NOW)
    assert control.spending.find(RUN) == Spent(reserved=60)
    control.spending.reserve(CAP, 40, 30, NOW)


def test_several_budgets_are_reserved_all_or_none(control: Control) -> None:
    budgets = [Budget(DAY, 50), Budget(RUN, 100)]
    first = control.spending.reserve(budgets, 30, 30, NOW)
    with pytest.raises(BudgetExceeded, match="service summarize in 2026-12-01"):
        control.spending.reserve(budgets, 30, 30, NOW)
    assert control.spending.find(RUN) == control.spending.find(DAY) == Spent(reserved=30)
    control.spending.settle(first, 10, NOW)
    assert control.spending.find(DAY) == Spent(spent=10, calls=1)


def test_a_reservation_is_settled_once(control: Control) -> None:
    reservation = control.spending.reserve(CAP, 60, 30, NOW)
    control.spending.settle(reservation, 25, NOW)
    assert not control.spending.settle(reservation, 25, NOW).is_new
    control.spending.give_back(reservation)
    assert control.spending.find(RUN) == Spent(spent=25, calls=1)


def test_a_reservation_is_given_back_once(control: Control) -> None:
    reservation = control.spending.reserve(CAP, 60, 30, NOW)
    for _ in range(2):
        control.spending.give_back(reservation)
    assert control.spending.find(RUN) == Spent()


def test_an_unknown_cost_counts_as_what_was_reserved(control: Control) -> None:
    reservation = control.spending.reserve(CAP, 60, 30, NOW)
    settled = control.spending.settle(reservation, None, NOW)
    assert (settled.counted, settled.is_unknown) == (60, True)
    assert control.spending.find(RUN) == Spent(spent=60, calls=1, unknown=1)


def test_a_call_that_cost_more_than_reserved_is_counted_and_told(control: Control) -> None:
    reservation = control.spending.reserve(CAP, 60, 30, NOW)
    assert control.spending.settle(reservation, 75, NOW).overrun == 15
    assert control.spending.find(RUN) == Spent(spent=75, calls=1, overruns=1)


def test_what_a_dead_process_reserved_comes_back(control: Control) -> None:
    control.spending.reserve(CAP, 100, 30, NOW)
    with pytest.raises(BudgetExceeded):
        control.spending.reserve(CAP, 50, 30, NOW + timedelta(seconds=29))
    control.spending.reserve(CAP, 50, 30, NOW + timedelta(seconds=31))
    assert control.spending.find(RUN) == Spent(reserved=50)


def test_a_call_that_ends_after_its_reservation_expired_still_counts(control: Control) -> None:
    late = control.spending.reserve(CAP, 100, 30, NOW)
    assert control.spending.expire(NOW + timedelta(seconds=31)) == 1
    assert control.spending.settle(late, 40).was_expired
    assert control.spending.find(RUN) == Spent(spent=40, calls=1)
    assert not control.spending.settle(late, 40).is_new


def test_settled_reservations_are_forgotten_after_days(control: Control) -> None:
    reservation = control.spending.reserve(CAP, 60, 30, NOW)
    control.spending.settle(reservation, 25, NOW)
    control.spending.expire(NOW + timedelta(days=3))
    control.spending.give_back(reservation)
    assert control.spending.find(RUN) == Spent(spent=25, calls=1)


CALLERS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sluice.adapters.control.store import open_control
from sluice.control.spending import Account, Budget
from sluice.errors import BudgetExceeded
from sluice.home import Home

spending = open_control(Home(Path(sys.argv[1]))).spending
budgets = [Budget(Account("run", "r1"), 1000), Budget(Account("key", "ci", "2026-12"), 100_000)]

def call(_):
    try:
        return spending.settle(spending.reserve(budgets, 10, 300), 10).counted
    except BudgetExceeded:
        return 0

with ThreadPoolExecutor(8) as pool:
    counted = list(pool.map(call, range(int(sys.argv[2]))))
print(sum(map(bool, counted)), sum(counted))
"""


@pytest.mark.slow
def test_a_thousand_calls_of_two_processes_spend_a_budget_for_a_hundred(
    control: Control, store: Home
) -> None:
    callers = "500" if store.control_url.startswith("sqlite") else "100"
    command = [sys.executable, "-c", CALLERS, str(store.root), callers]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [process.communicate(timeout=120)[0] for process in running]
    made = [tuple(map(int, end.split())) for end in ends]
    assert sum(calls for calls, _ in made) == 100
    for account in (RUN, Account("key", "ci", "2026-12")):
        assert control.spending.find(account) == Spent(spent=1000, calls=100)
