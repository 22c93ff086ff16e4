"""Budgets in the control store: no order of calls and processes spends more than a limit.

One transaction takes many ends of calls and many requests: under load a call costs a part of a
transaction only. The rows of its accounts are locked in one order while it decides, so that of
many requests at once exactly as many succeed as there is room for. A process that dies leaves its
reservations open; they expire by the clock of whoever needs their room, so a reservation must live
longer than its call can take, plus the difference of two machines' clocks.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.schema import RESERVATIONS, SPENDING
from sluice.control.spending import (
    Account,
    Budget,
    BudgetRequest,
    BudgetScope,
    CallEnd,
    Reservation,
    Settlement,
    Spent,
    write_dollars,
)
from sluice.documents import parse_json
from sluice.errors import BudgetExceeded

KEPT = timedelta(days=2)
"""How long a settled reservation is kept, so that settling it twice counts once."""
AT_A_TIME = 500
"""Most reservations that one transaction expires or removes."""
OPEN, SETTLED, EXPIRED = "open", "settled", "expired"
SUMS = ("spent", "reserved", "calls", "overruns", "unknown")
Changes = dict[Account, Spent]


class Spending:
    """Accounts and reservations; each call is one short transaction, or two.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # SQLite lets those who wait for its lock try again at random: threads take turns here.
        self._turn = Lock() if database.file else nullcontext()

    def find(self, account: Account) -> Spent:
        """Return what an account has spent and reserved."""
        with self._transact("reading a budget") as connection:
            return _read(connection, account)

    def list_spent(self, scope: BudgetScope, periods: Collection[str]) -> dict[Account, Spent]:
        """Return what the accounts of a scope have spent in some periods; one transaction."""
        query = select(SPENDING).where(SPENDING.c.scope == scope, SPENDING.c.period.in_(periods))
        with self._transact("reading budgets") as connection:
            rows = connection.execute(query).mappings().all()
        return {
            Account(scope, row["subject"], row["period"]): Spent(*(row[name] for name in SUMS))
            for row in rows
        }

    def list_highest(
        self, scope: BudgetScope, service: str, period: str, count: int
    ) -> dict[Account, Spent]:
        """Return the keys or users of a service that have spent most in a period, those first.

        At most `count` of them; equal ones go by their name. `period` is one of `name_period`.
        """
        table = SPENDING.c
        is_of = table.subject.endswith(f" of {service}", autoescape=True)
        query = select(SPENDING).where(table.scope == scope, table.period == period, is_of)
        ordered = query.order_by(table.spent.desc(), table.subject).limit(count)
        with self._transact("reading budgets") as connection:
            rows = connection.execute(ordered).mappings().all()
        return {
            Account(scope, row["subject"], period): Spent(*(row[name] for name in SUMS))
            for row in rows
        }

    def reserve(
        self, budgets: Sequence[Budget], amount: int, seconds: float, now: datetime | None = None
    ) -> Reservation:
        """Set an amount aside in every budget, or in none.

        `amount` is in billionths of a US dollar; `seconds` is how long the reservation lives.

        Raises:
            BudgetExceeded: a budget has no room for it, also without what has expired.
        """
        [found] = self.exchange((), [BudgetRequest(tuple(budgets), amount)], seconds, now)[1]
        if isinstance(found, BudgetExceeded):
            raise found
        return found

    def settle(
        self, reservation: Reservation, cost: int | None, now: datetime | None = None
    ) -> Settlement:
        """Count what a call cost, and give back the rest of its reservation.

        A cost of None is unknown and counts as the whole reservation. A reservation that expired
        is counted too, and one that was settled before is not counted again.
        """
        return self.exchange([CallEnd(reservation, cost)], (), 0, now)[0][0]

    def give_back(self, reservation: Reservation) -> None:
        """Give a reservation back whose call was never made, or cost nothing for certain."""
        self.exchange([CallEnd(reservation, 0, was_made=False)], (), 0)

    def exchange(
        self,
        ends: Sequence[CallEnd],
        requests: Sequence[BudgetRequest],
        seconds: float,
        now: datetime | None = None,
    ) -> tuple[list[Settlement], list[Reservation | BudgetExceeded]]:
        """Settle calls that ended, then reserve for others, in order; return both results.

        A request without room gets its `BudgetExceeded`, and changes nothing. `seconds` is how
        long the new reservations live.
        """
        now = now or datetime.now(UTC)
        with self._transact("counting costs") as connection:
            settlements = _settle(connection, ends)
            found = _reserve(connection, requests, now + timedelta(seconds=seconds))
            is_refused = any(isinstance(item, BudgetExceeded) for item in found)
            may_come = is_refused and bool(_find_expired(connection, now, 1))
        if not may_come:
            return settlements, found
        while self.expire(now):
            pass
        again = [place for place, item in enumerate(found) if isinstance(item, BudgetExceeded)]
        with self._transact("counting costs") as connection:
            chosen = [requests[place] for place in again]
            later = _reserve(connection, chosen, now + timedelta(seconds=seconds))
        for place, item in zip(again, later, strict=True):
            found[place] = item
        return settlements, found

    def expire(self, now: datetime | None = None) -> int:
        """Give back reservations that expired, and forget old ones; return how many expired."""
        moment = now or datetime.now(UTC)
        with self._transact("giving back what expired") as connection:
            rows = _find_expired(connection, moment, AT_A_TIME)
            states = _close(connection, [row["id"] for row in rows], EXPIRED)
            changes: Changes = defaultdict(Spent)
            for row in rows:
                if states.get(row["id"]) == OPEN:
                    for account in _read_accounts(row["accounts"]):
                        _change(changes, account, reserved=-row["amount"])
            _apply(connection, changes)
            _forget(connection, moment)
        return len(rows)

    @contextmanager
    def _transact(self, action: str) -> Iterator[Connection]:
        with self._turn, self._database.transact(action) as connection:
            yield connection


def _settle(connection: Connection, ends: Sequence[CallEnd]) -> list[Settlement]:
    states = _close(connection, [end.reservation.id for end in ends], SETTLED)
    changes: Changes = defaultdict(Spent)
    settlements = []
    for end in ends:
        # A reservation that is not there any more was given back long ago.
        before = states.get(end.reservation.id, EXPIRED)
        states[end.reservation.id] = SETTLED
        if before == SETTLED:
            settlements.append(Settlement(0, is_new=False))
            continue
        is_unknown = end.was_made and end.cost is None
        for account in end.reservation.accounts:
            _change(
                changes,
                account,
                spent=end.counted,
                reserved=-end.reservation.amount if before == OPEN else 0,
                calls=int(end.was_made),
                overruns=int(end.overrun > 0),
                unknown=int(is_unknown),
            )
        settlements.append(Settlement(end.counted, True, end.overrun, is_unknown, before != OPEN))
    _apply(connection, changes)
    return settlements


def _reserve(
    connection: Connection, requests: Sequence[BudgetRequest], expires: datetime
) -> list[Reservation | BudgetExceeded]:
    accounts = sorted({budget.account for item in requests for budget in item.budgets})
    for account in accounts:
        _add_row(connection, account)
    held = {account: _read(connection, account) for account in accounts}
    changes: Changes = defaultdict(Spent)
    found: list[Reservation | BudgetExceeded] = []
    rows = []
    for request in requests:
        if refusal := _refuse(request, held):
            found.append(refusal)
            continue
        owners = tuple(sorted(budget.account for budget in request.budgets))
        reservation = Reservation(uuid4().hex, request.amount, owners)
        for account in owners:
            _change(changes, account, reserved=request.amount)
            _change(held, account, reserved=request.amount)
        rows.append(_write_row(reservation, expires))
        found.append(reservation)
    _apply(connection, changes)
    if rows:
        connection.execute(RESERVATIONS.insert(), rows)
    return found


def _refuse(request: BudgetRequest, held: Mapping[Account, Spent]) -> BudgetExceeded | None:
    """Return why a budget has no room for a request; None where all have."""
    for budget in sorted(request.budgets, key=lambda item: item.account):
        spent = held[budget.account]
        if spent.spent + spent.reserved + request.amount > budget.limit:
            return BudgetExceeded(
                f"budget of {budget.account.describe()}: the next call may cost "
                f"{write_dollars(request.amount)}; {spent.describe(budget.limit)}; next: raise "
                "the budget, or ask for less"
            )
    return None


def _write_row(reservation: Reservation, expires: datetime) -> dict[str, object]:
    accounts = [[item.scope, item.subject, item.period] for item in reservation.accounts]
    return {
        "id": reservation.id,
        "amount": reservation.amount,
        "accounts": json.dumps(accounts),
        "expires": write_time(expires),
        "state": OPEN,
    }


def _close(connection: Connection, ids: Sequence[str], state: str) -> dict[str, str]:
    """Give reservations a state unless they are settled; return the states that they had."""
    if not ids:
        return {}
    table = RESERVATIONS.c
    query = select(table.id, table.state).where(table.id.in_(ids)).order_by(table.id)
    before = {row.id: str(row.state) for row in connection.execute(query.with_for_update())}
    change = RESERVATIONS.update().where(table.id.in_(ids), table.state != SETTLED)
    connection.execute(change.values(state=state))
    return before


def _find_expired(connection: Connection, now: datetime, most: int) -> list[RowMapping]:
    over = and_(RESERVATIONS.c.state == OPEN, RESERVATIONS.c.expires < write_time(now))
    query = select(RESERVATIONS).where(over).order_by(RESERVATIONS.c.id).limit(most)
    return list(connection.execute(query).mappings())


def _forget(connection: Connection, now: datetime) -> None:
    old = and_(RESERVATIONS.c.state != OPEN, RESERVATIONS.c.expires < write_time(now - KEPT))
    chosen = select(RESERVATIONS.c.id).where(old).limit(AT_A_TIME)
    connection.execute(RESERVATIONS.delete().where(RESERVATIONS.c.id.in_(chosen)))


def _change(changes: dict[Account, Spent], account: Account, **values: int) -> None:
    before = changes[account]
    changes[account] = replace(
        before, **{name: getattr(before, name) + value for name, value in values.items()}
    )


def _apply(connection: Connection, changes: Mapping[Account, Spent]) -> None:
    """Add to what the accounts hold, in their order."""
    for account in sorted(changes):
        _add_row(connection, account)
        sums = {name: SPENDING.c[name] + getattr(changes[account], name) for name in SUMS}
        connection.execute(SPENDING.update().where(_is(account)).values(**sums))


def _add_row(connection: Connection, account: Account) -> None:
    insert_once(connection, SPENDING, {**vars(account), **dict.fromkeys(SUMS, 0)})


def _read(connection: Connection, account: Account) -> Spent:
    """Return what an account holds, locked until the transaction ends."""
    query = select(SPENDING).where(_is(account)).with_for_update()
    row = connection.execute(query).mappings().first()
    return Spent(*(row[name] for name in SUMS)) if row else Spent()


def _is(account: Account) -> ColumnElement[bool]:
    table = SPENDING.c
    return and_(
        table.scope == account.scope,
        table.subject == account.subject,
        table.period == account.period,
    )


def _read_accounts(text: str) -> list[Account]:
    return [Account(*item) for item in parse_json(text)]
