"""What the page reads of the control store: in one thread, never on the event loop."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from serving.page.choices import list_choices
from serving.page.figures import view_rollout
from serving.page.pulse import PulseWatch
from serving.page.story import Story
from serving.page.view import Choice, Overview, Pulse, RolloutView, Row, ServiceView
from sluice.adapters.control.rollouts import CONTROLLER
from sluice.adapters.control.store import Control
from sluice.control.route import Route
from sluice.rollout.course import Course, Outline

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
        self, name: str, route: Route | None, outlines: list[Outline], course: Course | None
    ) -> Row:
        last = outlines[0] if outlines else None
        state = course.state if course else None
        moving = course is not None and state is not None and state.phase.is_staged
        return Row(
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

    def _feel(self, outlines: list[Outline], course: Course | None) -> Pulse:
        """Say whether the open rollout's controller is at work."""
        outline = next((item for item in outlines if item.ended is None), None)
        if course is None or outline is None or course.number != outline.number:
            return Pulse()
        lease = self._control.leases.find(course.service, CONTROLLER)
        watch = self._watches.setdefault(course.service, PulseWatch())
        return watch.look(outline, course, lease, self._clock(), self._wall())

    def _view_rollout(self, outline: Outline) -> RolloutView | None:
        course = self._control.rollouts.find(outline.service, outline.number)
        if course is None:
            return None
        return view_rollout(outline, course, self._read_story(course))

    def _read_story(self, course: Course) -> Story:
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


def _list_choices(course: Course | None, chosen: Outline | None) -> Iterator[Choice]:
    """Give the commands to the rollout that is looked at."""
    if chosen is None:
        return list_choices(None, "no rollout is under way")
    here = course is not None and course.number == chosen.number
    return list_choices(course if here else None, "this rollout is over")


def _group(outlines: list[Outline]) -> dict[str, list[Outline]]:
    """Give rollouts by service, newest first."""
    found: dict[str, list[Outline]] = {}
    for item in reversed(outlines):
        found.setdefault(item.service, []).append(item)
    return found
