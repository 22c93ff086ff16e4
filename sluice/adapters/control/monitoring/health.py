"""What monitors wrote to the control store, read in one transaction for all services.

A table that the store does not have yet was never written: its monitor has judged nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, and_, column, func, inspect, select, table

from sluice.adapters.control.database import Database
from sluice.adapters.control.monitoring.drift import read_newest
from sluice.adapters.control.schema import DRIFT_STATES
from sluice.control.health import AlertStatus, Health, PerformanceStatus, RetrainingStatus
from sluice.documents import parse_json
from sluice.gates.finding import format_figure

ALERTS = table("alerts", column("service"), column("rule"), column("state"))
WINDOWS = table(
    "performance_windows",
    *map(column, ("service", "version", "kind", "number", "dropped", "event", "judged", "verdict")),
)
CAUSES = table(
    "retraining_causes",
    *map(column, ("service", "subject", "kind", "at", "reason", "is_over", "is_closed")),
    *map(column, ("waits", "decision")),
)
YES = 1
ESTIMATED, RECOVERED = "estimated", "performance.recovered"
T = TypeVar("T")


class HealthReader:
    """Reads what monitors wrote.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_health(self, service: str = "") -> Mapping[str, Health]:
        """Return what monitors wrote about one service or about all, by service.

        A service that no monitor has judged is left out.
        """
        with self._database.transact("reading what monitors found") as connection:
            tables = set(inspect(connection).get_table_names())
            drift = _group(read_newest(connection, service)) if DRIFT_STATES.name in tables else {}
            alerts = _read(connection, tables, ALERTS, service, _build_alert)
            retraining = _read(connection, tables, CAUSES, service, _build_cause)
            performance = dict(_read_performance(connection, tables, service))
        return {
            name: Health(
                drift.get(name), alerts.get(name), performance.get(name), retraining.get(name)
            )
            for name in {*drift, *alerts, *performance, *retraining}
        }


def _read(
    connection: Connection,
    tables: set[str],
    source: Any,
    service: str,
    build: Callable[[RowMapping], T | None],
) -> dict[str, tuple[T, ...]]:
    """Return what is built of the rows of a table, by service; empty where there is no table.

    A row of which nothing is built still says that the service was judged.
    """
    if source.name not in tables:
        return {}
    rows = select(source)
    rows = rows.where(source.c.service == service) if service else rows
    found: dict[str, tuple[T, ...]] = {}
    for row in connection.execute(rows).mappings():
        item = build(row)
        before = found.get(row["service"], ())
        found[row["service"]] = before if item is None else (*before, item)
    return found


def _build_alert(row: RowMapping) -> AlertStatus:
    state: dict[str, Any] = parse_json(row["state"])
    return AlertStatus(
        row["service"],
        row["rule"],
        state["phase"],
        state["outcome"],
        state.get("reason", ""),
        since=_read_time(state.get("since")),
        judged=_read_time(state.get("judged")),
        silenced_until=_read_time(state.get("silenced_until")),
        value=state.get("value"),
        limit=state.get("limit"),
    )


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _build_cause(row: RowMapping) -> RetrainingStatus | None:
    """Return a cause that is neither answered nor over; None for another one."""
    if YES in (row["is_closed"], row["is_over"]):
        return None
    words = {name: str(row[name]) for name in ("kind", "subject", "reason", "waits", "decision")}
    return RetrainingStatus(row["service"], at=datetime.fromisoformat(row["at"]), **words)


def _read_performance(
    connection: Connection, tables: set[str], service: str
) -> Iterator[tuple[str, PerformanceStatus]]:
    """Yield the window of each service that was judged last, the measured one after the estimated.

    Of two of a service the later one counts: what labels show outweighs an estimate.
    """
    if WINDOWS.name not in tables:
        return
    keys = WINDOWS.c.service, WINDOWS.c.kind
    newest = select(*keys, func.max(WINDOWS.c.judged).label("judged")).group_by(*keys).subquery()
    same = (WINDOWS.c[key] == newest.c[key] for key in ("service", "kind", "judged"))
    rows = select(WINDOWS).join(newest, and_(*same))
    rows = rows.where(WINDOWS.c.service == service) if service else rows
    for row in connection.execute(rows.order_by(WINDOWS.c.kind, WINDOWS.c.number)).mappings():
        yield row["service"], _build_performance(row)


def _build_performance(row: RowMapping) -> PerformanceStatus:
    verdict: dict[str, Any] = parse_json(row["verdict"])
    is_estimated = row["kind"] == ESTIMATED
    judged = verdict.get("estimate", {}) if is_estimated else verdict
    primary = judged.get("primary") or {}
    return PerformanceStatus(
        row["service"],
        row["version"],
        row["number"],
        bool(row["dropped"]),
        datetime.fromisoformat(row["judged"]),
        primary.get("name", ""),
        primary.get("value"),
        primary.get("baseline"),
        is_estimated,
        row["event"] == RECOVERED,
        tuple(_list_dropped(verdict.get("slices", ()))),
    )


def _list_dropped(slices: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    for name, found in slices:
        if found.get("dropped"):
            now, before = (format_figure(found[key]) for key in ("value", "baseline"))
            yield f"{name} {now}, {before} at the release"


def _group(states: Iterable[Any]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for state in states:
        found[state.service] = (*found.get(state.service, ()), state)
    return found
