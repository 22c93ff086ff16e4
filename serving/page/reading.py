"""Cached reads of the control store, which still answer while the store is away.

The clocks of two computers are compared only once: after the first tick that arrives while this
process watches, the time without ticks is measured by its own clock (Gray and Cheriton 1989).
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serving.page.figures import list_choices, view_rollout
from serving.page.status.facts import ServiceHistory, ServiceStanding, Standings
from serving.page.status.reading import StandingReader
from serving.page.view import (
    CommandChoice,
    Heartbeat,
    LogSummary,
    Overview,
    RolloutView,
    ServiceRow,
    ServiceView,
)
from serving.page.wording import write_seconds
from sluice.adapters.control.rollouts import CONTROLLER
from sluice.adapters.control.store import Control
from sluice.control.lease import Lease, LeaseWatch
from sluice.control.route import Route
from sluice.errors import ControlUnavailable, SluiceError
from sluice.report.next_steps import advise, needs_help
from sluice.rollout.record import RolloutRecord, RolloutSummary

FRESH_SECONDS, OLD_SECONDS = 1.0, 5.0
"""A cached value is returned again up to the first age, and called old from the second on."""
PATIENCE_SECONDS, FIRST_SECONDS = 1.5, 10.0
"""How long a new read is waited for: where an older value is cached, and where none is."""
SILENT_SECONDS = 10.0
"""From when on a store that has not answered counts as away; a busy machine answers late."""
MAX_KEYS = 64
"""Values that are cached; the oldest are dropped."""
MIN_LATE_SECONDS, LATE_BLOCKS = 8.0, 4.0
"""A tick is late after so many seconds, or so many blocks, whichever is longer."""
MAX_LOGS, LOG_CHUNK = 12, 1000
"""Logs that are kept in memory, and records that one query reads."""
MAX_COMMANDS = 20
"""Commands that are shown, the last ones."""
LOG = logging.getLogger("sluice.page")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class CachedValue(Generic[T]):
    """A value, its age in seconds, and the problem that kept it from being newer."""

    value: T
    age: float
    problem: str = ""


class StoreCache:
    """Runs reads in one thread and caches them; simultaneous requests share one read.

    `longer` seconds are added to the ages at which a value is read again, and called old. Such a
    value is renewed in the background: a reader waits only where it is old, or not read yet.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        longer: float = 0.0,
    ) -> None:
        self._clock, self._longer = clock, longer
        self._pool = ThreadPoolExecutor(1, "store")
        self._values: OrderedDict[object, tuple[float, Any]] = OrderedDict()
        self._running: dict[object, tuple[asyncio.Future[None], float]] = {}
        """Reads that are under way, each with the time of its beginning."""
        self._problem = ""

    async def get(
        self, key: object, read: Callable[[], T], first: float = FIRST_SECONDS
    ) -> CachedValue[T]:
        """Return a value at most a second old (or `longer`), or the last one with the problem.

        A value that was never read is waited for so many seconds: `first`.

        Raises:
            ControlUnavailable: no value was ever read, and the store does not answer.
        """
        cached = self._values.get(key)
        if cached is None or self._clock() - cached[0] >= FRESH_SECONDS + self._longer:
            await self._wait(key, read, first if cached is None else self._choose_patience(cached))
            cached = self._values.get(key)
        if cached is None:
            raise ControlUnavailable(self._problem or "the control store does not answer yet")
        problem = (self._problem or self._explain_silence(key)) if self._is_old(cached) else ""
        return CachedValue(cached[1], self._clock() - cached[0], problem)

    def preload(self, key: object, read: Callable[[], object]) -> None:
        """Begin a first read, so that the first reader finds its value."""
        self._pool.submit(self._try, key, read)

    async def run(self, work: Callable[[], R]) -> R:
        """Run a change of the store in the same thread and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """End the thread, without waiting for a read that is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _is_old(self, cached: tuple[float, Any]) -> bool:
        return self._clock() - cached[0] >= OLD_SECONDS + self._longer

    def _explain_silence(self, key: object) -> str:
        """Return for how long a read has not been answered; empty where that is no sign yet."""
        waited = self._clock() - self._running[key][1] if key in self._running else 0.0
        return f"it has not answered for {waited:.0f} s" if waited >= SILENT_SECONDS else ""

    def _choose_patience(self, cached: tuple[float, Any]) -> float:
        """Return how many seconds to wait for a newer value."""
        return 0.0 if self._longer and not self._is_old(cached) else PATIENCE_SECONDS

    async def _wait(self, key: object, read: Callable[[], T], seconds: float) -> None:
        running, _ = self._running.get(key, (None, 0.0))
        if running is None:
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, self._try, key, read)
            self._running[key] = running, self._clock()
            running.add_done_callback(lambda _: self._running.pop(key, None))
        await asyncio.wait([running], timeout=seconds)
        if running.done():
            running.result()  # a bug is raised to its caller, not shown as old data

    def _try(self, key: object, read: Callable[[], object]) -> None:
        """Read once, unless a read before this one in the queue has just done so.

        A store that is away is noted, not raised.
        """
        cached = self._values.get(key)
        if cached is not None and self._clock() - cached[0] < FRESH_SECONDS:
            return
        try:
            value = read()
        except SluiceError as error:
            if str(error) != self._problem:
                LOG.warning("%s", error)
            self._problem = str(error)
            return
        self._problem = ""
        self._values[key] = self._clock(), value
        self._values.move_to_end(key)
        while len(self._values) > MAX_KEYS:
            self._values.popitem(last=False)


@dataclass(frozen=True)
class SeenTick:
    """The last tick of a rollout that was seen, and since when (monotonic seconds)."""

    number: int
    tick: int
    since: float


class HeartbeatWatch:
    """Watches the ticks and the controller's lease of one service's open rollout."""

    def __init__(self) -> None:
        self._last: SeenTick | None = None
        self._watch = LeaseWatch()
        self._first: Lease | None = None

    def check(
        self, summary: RolloutSummary, record: RolloutRecord, lease: Lease, now: float, clock: float
    ) -> Heartbeat:
        """Return the heartbeat at `now`, in monotonic seconds.

        `clock` is the time of day; it counts only at the first check of a rollout.
        """
        last = self._last
        if last is None or last.number != summary.number:
            age = max(0.0, clock - summary.written.timestamp())
            last = SeenTick(summary.number, summary.tick, now - age)
        elif last.tick != summary.tick:
            last = SeenTick(summary.number, summary.tick, now)
        self._last = last
        age, gone = now - last.since, self._watch.has_lapsed(lease, now)
        self._first = self._first or lease
        renews = lease != self._first and not gone
        late = age > max(MIN_LATE_SECONDS, LATE_BLOCKS * record.policy.block)
        controller = "" if lease.is_free else lease.holder.partition(" (")[0]
        return Heartbeat(age, controller, _warn(age if late else 0.0, gone, renews, record))


def _warn(late: float, gone: bool, renews: bool, record: RolloutRecord) -> str:
    """Describe ticks that are late by so many seconds, and a controller that is gone."""
    parts = [f"No tick for {write_seconds(late)}: what is shown is old."] if late else []
    if gone:
        serves = record.candidate if record.is_serving else record.champion
        parts.append(
            f"The controller is gone. v{serves} serves alone {record.terms.lease_ttl:g} s after "
            "the last renewal of its lease; the keeper starts another controller within minutes."
        )
    elif late and renews:
        parts.append("Its controller is alive, but writes nothing.")
    return " ".join(parts)


class StoreReader:
    """Reads what the page shows; raises `ControlUnavailable` where the store is away.

    Of a decision log only new records are read. Only one thread at a time may use it.
    """

    def __init__(
        self,
        control: Control,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._control, self._clock, self._wall = control, clock, wall
        self._logs: OrderedDict[tuple[str, int], LogSummary] = OrderedDict()
        self._watches: dict[str, HeartbeatWatch] = {}
        self._standings = StandingReader(control)

    def read_standings(self) -> Standings:
        """Return how every service that the store knows is doing."""
        return self._standings.read_standings(self.read_overview().services)

    def read_page(
        self, service: str, number: int = 0
    ) -> tuple[ServiceStanding | None, ServiceView | None, ServiceHistory]:
        """Return a service's standing, its rollouts as `read_service` does, and its history.

        Without a standing the store knows nothing of the service.
        """
        found = {item.row.service: item for item in self.read_standings().services}
        view = self.read_service(service, number)
        return found.get(service), view, self._standings.read_history(service)

    def read_overview(self) -> Overview:
        """Return all services that have a route or had a rollout."""
        routes = {route.service: route for route in self._control.routes.list_routes(None)}
        summaries = _group(self._control.rollouts.list_summaries())
        records = {record.service: record for record in self._control.rollouts.list_open()}
        conflicts = self._control.watermarks.list_conflicts()
        rows = []
        for name in sorted({*routes, *summaries}):
            rollouts, record = summaries.get(name, []), records.get(name)
            warning = self._warn(conflicts.get(name, ""), rollouts, record)
            rows.append(self._view_row(name, routes.get(name), rollouts, record, warning))
        return Overview(tuple(rows))

    def read_service(self, service: str, number: int = 0) -> ServiceView | None:
        """Return a service with one of its rollouts; 0 is the last one.

        None where the store does not know the service, or the service had no such rollout.
        """
        route = self._control.routes.find(service)
        summaries = _group(self._control.rollouts.list_summaries()).get(service, [])
        chosen = next((item for item in summaries if number in (0, item.number)), None)
        if (route is None and not summaries) or (number and chosen is None):
            return None
        record = self._control.rollouts.find_open(service)
        commands = self._control.commands.list_commands(service)[-MAX_COMMANDS:]
        return ServiceView(
            service=service,
            champion=route.champion if route else None,
            candidate=route.candidate if route else None,
            weight=route.weight if route else 0.0,
            heartbeat=self._check_heartbeat(summaries, record),
            rollout=self._view_rollout(chosen) if chosen else None,
            rollouts=tuple(summaries),
            commands=tuple(reversed(commands)),
            choices=tuple(_list_choices(record, chosen)),
            conflict=self._control.watermarks.find_conflict(service),
            experiment=self._control.experiments.find_newest(service),
        )

    def _view_row(
        self,
        name: str,
        route: Route | None,
        summaries: list[RolloutSummary],
        record: RolloutRecord | None,
        warning: str,
    ) -> ServiceRow:
        last = summaries[0] if summaries else None
        state = record.state if record else None
        in_stage = record is not None and state is not None and state.phase.is_staged
        return ServiceRow(
            service=name,
            champion=route.champion if route else None,
            candidate=last.candidate if last and record else None,
            weight=record.state.weight(record.policy) if record else 0.0,
            phase=str(last.phase) if last else "",
            stage=record.policy.stages[record.state.stage].name if record and in_stage else "",
            reason=record.state.reason if record else "",
            next_step=advise(record) if record and needs_help(record) else "",
            since=(last.ended or last.opened) if last else None,
            number=last.number if last else 0,
            warning=warning,
        )

    def _warn(
        self, conflict: str, summaries: list[RolloutSummary], record: RolloutRecord | None
    ) -> str:
        """Return what a person has to know about a service; empty where nothing."""
        parts = [self._check_heartbeat(summaries, record).warning]
        return " ".join(filter(None, [f"Conflict: {conflict}." if conflict else "", *parts]))

    def _check_heartbeat(
        self, summaries: list[RolloutSummary], record: RolloutRecord | None
    ) -> Heartbeat:
        """Return the open rollout's heartbeat; an empty one where none is open."""
        summary = next((item for item in summaries if item.ended is None), None)
        if record is None or summary is None or record.number != summary.number:
            return Heartbeat()
        lease = self._control.leases.find(record.service, CONTROLLER)
        watch = self._watches.setdefault(record.service, HeartbeatWatch())
        return watch.check(summary, record, lease, self._clock(), self._wall())

    def _view_rollout(self, summary: RolloutSummary) -> RolloutView | None:
        record = self._control.rollouts.find(summary.service, summary.number)
        if record is None:
            return None
        return view_rollout(summary, record, self._read_log(record))

    def _read_log(self, record: RolloutRecord) -> LogSummary:
        key = record.service, record.number
        log_summary = self._logs.pop(key, None) or LogSummary(record.policy)
        self._logs[key] = log_summary
        while len(self._logs) > MAX_LOGS:
            self._logs.popitem(last=False)
        while log_summary.next_tick < record.tick:
            lines = self._control.rollouts.read_log(*key, log_summary.next_tick, LOG_CHUNK)
            for at, line in lines:
                log_summary.add(at, line)
            if not lines:
                break
        return log_summary


def make_empty_view(service: str) -> ServiceView:
    """Return the view of a service that has neither a route nor a rollout."""
    choices = tuple(_list_choices(None, None))
    return ServiceView(service, None, None, 0.0, Heartbeat(), None, (), (), choices)


def _list_choices(
    record: RolloutRecord | None, chosen: RolloutSummary | None
) -> Iterator[CommandChoice]:
    """Return the commands for the rollout that is shown."""
    if chosen is None:
        return list_choices(None, "no rollout is under way")
    is_open = record is not None and record.number == chosen.number
    return list_choices(record if is_open else None, "this rollout is over")


def _group(summaries: list[RolloutSummary]) -> dict[str, list[RolloutSummary]]:
    """Return rollouts by service, newest first."""
    found: dict[str, list[RolloutSummary]] = {}
    for item in reversed(summaries):
        found.setdefault(item.service, []).append(item)
    return found
