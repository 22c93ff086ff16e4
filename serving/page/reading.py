"""What the page reads of the control store: once a second for all, and what to show without it.

Clocks of two machines are not compared for long: once a tick was seen to come, how long none has
come is told by this process's own clock (Gray and Cheriton 1989).
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
from serving.page.view import (
    CommandChoice,
    Overview,
    Pulse,
    RolloutView,
    ServiceRow,
    ServiceView,
    Story,
)
from sluice.adapters.control.rollouts import CONTROLLER
from sluice.adapters.control.store import Control
from sluice.control.lease import Lease, LeaseWatch
from sluice.control.route import Route
from sluice.errors import ControlUnavailable, SluiceError
from sluice.rollout.record import RolloutRecord, RolloutSummary

FRESH_SECONDS, OLD_SECONDS = 1.0, 5.0
"""How long a reading is shown again, and when one is called old."""
PATIENCE_SECONDS, FIRST_SECONDS = 1.5, 10.0
"""How long a new reading is waited for, and the first one, which there is nothing instead of."""
KEPT = 64
LOG = logging.getLogger("sluice.page")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class StoreReading(Generic[T]):
    """What was read, how long ago, and why nothing newer is there; empty where that is well."""

    value: T
    age: float
    trouble: str = ""


class StoreReadings:
    """Reads in one thread; who asks while a read is under way gets that one's result."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, "store")
        self._kept: OrderedDict[object, tuple[float, Any]] = OrderedDict()
        self._running: dict[object, asyncio.Future[None]] = {}
        self._trouble = ""

    async def get(self, key: object, read: Callable[[], T]) -> StoreReading[T]:
        """Give a reading that is a second old at most, or the last one with what is amiss.

        Raises:
            ControlUnavailable: there is none, and the store does not answer.
        """
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept[0] >= FRESH_SECONDS:
            await self._wait(key, read, PATIENCE_SECONDS if kept else FIRST_SECONDS)
            kept = self._kept.get(key)
        if kept is None:
            raise ControlUnavailable(self._trouble or "the control store does not answer yet")
        age = self._clock() - kept[0]
        trouble = (self._trouble or "it does not answer") if age >= OLD_SECONDS else ""
        return StoreReading(kept[1], age, trouble)

    async def run(self, work: Callable[[], R]) -> R:
        """Do something with the store that changes it, in the same thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Let go of the thread; one that waits for a store is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, key: object, read: Callable[[], T], seconds: float) -> None:
        running = self._running.get(key)
        if running is None:
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, self._try, key, read)
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        await asyncio.wait([running], timeout=seconds)
        if running.done():
            running.result()  # a bug of ours is one for whoever asked

    def _try(self, key: object, read: Callable[[], object]) -> None:
        """Read once; a store that is away is no error here, but said beside what is known."""
        try:
            value = read()
        except SluiceError as error:
            if str(error) != self._trouble:
                LOG.warning("%s", error)
            self._trouble = str(error)
            return
        self._trouble = ""
        self._kept[key] = self._clock(), value
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


LEAST_SECONDS, BLOCKS = 8.0, 4.0
"""A tick is late after so many seconds, or so many blocks, whichever is longer."""


@dataclass(frozen=True)
class Beat:
    """The tick that was seen last, and since when (monotonic seconds)."""

    number: int
    tick: int
    since: float


class PulseWatch:
    """One service's open rollout, watched from look to look."""

    def __init__(self) -> None:
        self._beat: Beat | None = None
        self._watch = LeaseWatch()
        self._first: Lease | None = None

    def look(
        self, outline: RolloutSummary, course: RolloutRecord, lease: Lease, now: float, clock: float
    ) -> Pulse:
        """Give the pulse; `now` is monotonic, `clock` the time of day, for the first look only."""
        beat = self._beat
        if beat is None or beat.number != outline.number:
            age = max(0.0, clock - outline.written.timestamp())
            beat = Beat(outline.number, outline.tick, now - age)
        elif beat.tick != outline.tick:
            beat = Beat(outline.number, outline.tick, now)
        self._beat = beat
        age, gone = now - beat.since, self._watch.has_lapsed(lease, now)
        self._first = self._first or lease
        renews = lease != self._first and not gone
        late = age > max(LEAST_SECONDS, BLOCKS * course.policy.block)
        controller = "" if lease.is_free else lease.holder.partition(" (")[0]
        return Pulse(age, controller, _warn(age if late else 0.0, gone, renews, course))


def _warn(late: float, gone: bool, renews: bool, course: RolloutRecord) -> str:
    """Say what is amiss: ticks that are late by so many seconds, a controller that is gone."""
    parts = [f"No tick for {say_seconds(late)}: what is shown is old."] if late else []
    if gone:
        serves = course.candidate if course.is_serving else course.champion
        parts.append(
            f"The controller is gone. v{serves} serves alone {course.terms.lease_ttl:g} s after "
            "its last sign; the keeper starts another controller within minutes."
        )
    elif late and renews:
        parts.append("Its controller is alive, but writes nothing.")
    return " ".join(parts)


def say_seconds(seconds: float) -> str:
    """Give a duration in a person's words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


CHUNK, STORIES, COMMANDS = 1000, 12, 20


class StoreReader:
    """One process's view of the store; every method raises `ControlUnavailable` where it is away.

    Of a log only what is new is read. Not for two threads at a time.
    """

    def __init__(
        self,
        control: Control,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._control, self._clock, self._wall = control, clock, wall
        self._stories: OrderedDict[tuple[str, int], Story] = OrderedDict()
        self._watches: dict[str, PulseWatch] = {}

    def read_overview(self) -> Overview:
        """Give all services that have a route or had a rollout."""
        routes = {route.service: route for route in self._control.routes.list_routes()}
        outlines = _group(self._control.rollouts.list_outlines())
        courses = {course.service: course for course in self._control.rollouts.list_open()}
        names = sorted({*routes, *outlines})
        rows = [
            self._view_row(name, routes.get(name), outlines.get(name, []), courses.get(name))
            for name in names
        ]
        return Overview(tuple(rows))

    def read_service(self, service: str, number: int = 0) -> ServiceView | None:
        """Give a service with one of its rollouts, the last one where none is named.

        None where the store knows no such service, or it had no such rollout.
        """
        route = self._control.routes.find(service)
        outlines = _group(self._control.rollouts.list_outlines()).get(service, [])
        chosen = next((item for item in outlines if number in (0, item.number)), None)
        if (route is None and not outlines) or (number and chosen is None):
            return None
        course = self._control.rollouts.find_open(service)
        commands = self._control.commands.list_commands(service)[-COMMANDS:]
        return ServiceView(
            service=service,
            champion=route.champion if route else None,
            candidate=route.candidate if route else None,
            weight=route.weight if route else 0.0,
            pulse=self._feel(outlines, course),
            rollout=self._view_rollout(chosen) if chosen else None,
            rollouts=tuple(outlines),
            commands=tuple(reversed(commands)),
            choices=tuple(_list_choices(course, chosen)),
        )

    def _view_row(
        self,
        name: str,
        route: Route | None,
        outlines: list[RolloutSummary],
        course: RolloutRecord | None,
    ) -> ServiceRow:
        last = outlines[0] if outlines else None
        state = course.state if course else None
        moving = course is not None and state is not None and state.phase.is_staged
        return ServiceRow(
            service=name,
            champion=route.champion if route else None,
            candidate=last.candidate if last and course else None,
            weight=course.state.weight(course.policy) if course else 0.0,
            phase=str(last.phase) if last else "",
            stage=course.policy.stages[course.state.stage].name if course and moving else "",
            reason=course.state.reason if course else "",
            since=(last.ended or last.opened) if last else None,
            number=last.number if last else 0,
            warning=self._feel(outlines, course).warning,
        )

    def _feel(self, outlines: list[RolloutSummary], course: RolloutRecord | None) -> Pulse:
        """Say whether the open rollout's controller is at work."""
        outline = next((item for item in outlines if item.ended is None), None)
        if course is None or outline is None or course.number != outline.number:
            return Pulse()
        lease = self._control.leases.find(course.service, CONTROLLER)
        watch = self._watches.setdefault(course.service, PulseWatch())
        return watch.look(outline, course, lease, self._clock(), self._wall())

    def _view_rollout(self, outline: RolloutSummary) -> RolloutView | None:
        course = self._control.rollouts.find(outline.service, outline.number)
        if course is None:
            return None
        return view_rollout(outline, course, self._read_story(course))

    def _read_story(self, course: RolloutRecord) -> Story:
        key = course.service, course.number
        story = self._stories.pop(key, None) or Story(course.policy)
        self._stories[key] = story
        while len(self._stories) > STORIES:
            self._stories.popitem(last=False)
        while story.next_tick < course.tick:
            found = self._control.rollouts.read_log(*key, story.next_tick, CHUNK)
            for at, record in found:
                story.add(at, record)
            if not found:
                break
        return story


def _list_choices(
    course: RolloutRecord | None, chosen: RolloutSummary | None
) -> Iterator[CommandChoice]:
    """Give the commands to the rollout that is looked at."""
    if chosen is None:
        return list_choices(None, "no rollout is under way")
    here = course is not None and course.number == chosen.number
    return list_choices(course if here else None, "this rollout is over")


def _group(outlines: list[RolloutSummary]) -> dict[str, list[RolloutSummary]]:
    """Give rollouts by service, newest first."""
    found: dict[str, list[RolloutSummary]] = {}
    for item in reversed(outlines):
        found.setdefault(item.service, []).append(item)
    return found
