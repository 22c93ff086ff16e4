"""What a keeper puts right: rollouts without a controller, aliases moved by hand, lost events."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Completed

from sluice.adapters.control.store import Control
from sluice.adapters.registry.aliases import CANDIDATE, CHAMPION
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.versions import check_verdicts
from sluice.config.loading import load_service
from sluice.control.approval import ANSWER, ApprovalAnswer
from sluice.control.watermark import follow_change
from sluice.errors import PromotionRefused, RegistryUnavailable, SluiceError
from sluice.home import find_home
from sluice.report.rollout import write_overview
from sluice.rollout.record import RolloutRecord
from tasks.rollout.aliases import settle_ended
from tasks.rollout.lease import is_controlled
from tasks.run.artifacts import publish
from tasks.run.events import publish_event
from tasks.run.leases import prepare_control
from tasks.run.state import end_skipped
from tasks.run.tags import environment_name

DEPLOYMENT = "rollout/rollout"
KEY = "rollouts"
"""The artifact that says what is live everywhere."""
CONFLICT = "conflict"
"""What the watermark is called of the conflict that was told last."""
MINUTES = 4
"""How long one start of a controller has before another is tried."""


class Keeper:
    """What one keeper did, service by service, and what went wrong without stopping it."""

    def __init__(self) -> None:
        self._control = prepare_control()
        self._registry = open_registry(find_home())
        self._rows: list[dict[str, str]] = []
        self._done: list[str] = []
        self._troubles: list[str] = []

    @contextmanager
    def bear(self, service: str) -> Iterator[None]:
        """Keep an error of one service from the others; it is told at the end."""
        try:
            yield
        except SluiceError as error:
            self._troubles.append(f"{service}: {type(error).__name__}: {error}")

    def look_after(self, service: str) -> None:
        """Put right what can be, and note what is live.

        Raises:
            Fault: the control store or the registry cannot be reached.
        """
        for ended in settle_ended(self._control, service):
            self._done.append(f"{service}: aliases follow rollout {ended.number}")
        course = self._control.rollouts.find_open(service)
        controlled = course is not None and is_controlled(self._control, service)
        if course and not controlled:
            self._start(service, course.candidate, f"{course.number}", resume=True)
        note = self._compare_alias(service, course)
        if course is None:
            self._begin_wanted(service)
        self._rows += describe_service(self._control, service, course, controlled, note)

    def end(self) -> State[Any]:
        """Publish what is live, and give the state to end in.

        Raises:
            RegistryUnavailable: a service could not be looked after; all others were.
        """
        page = write_overview(self._rows)
        publish(create_markdown_artifact, KEY, markdown=page, description="What is live everywhere")
        if self._troubles:
            raise RegistryUnavailable("; ".join(self._troubles))
        if not self._done:
            return end_skipped("everything is as it should be")
        get_run_logger().info("; ".join(self._done))
        return Completed(message="; ".join(self._done))

    def _compare_alias(self, service: str, course: RolloutRecord | None) -> str:
        """Adopt a champion that was named by hand; beside a rollout only say that it was."""
        route = self._control.routes.find(service)
        alias = self._registry.find_alias(service, CHAMPION)
        if alias is None or route is None or alias.version == route.champion:
            return ""
        if course is not None:
            if alias.version in (course.champion, course.candidate):
                return "the alias is about to follow"
            words = f"the alias champion names v{alias.version}, the rollout decides"
            self._tell_conflict(course, alias.version, words)
            return f"conflict: {words}"
        words = f"v{alias.version} is champion"
        why = f"the alias was moved from v{route.champion} with no rollout under way"
        self._control.routes.follow_champion(service, alias.version)
        now = datetime.now(UTC)
        self._control.commands.record(service, "adopt", "the registry", why, words, now)
        publish_event(service, "rollout.adopted", {"version": alias.version, "reason": why})
        self._done.append(f"{service}: {words}, {why}")
        return "adopted from the registry"

    def _tell_conflict(self, course: RolloutRecord, version: int, words: str) -> None:
        """Tell of a conflict once, and again each half hour in which it stands."""
        marks = self._control.watermarks
        seen = marks.find(course.service, CONFLICT)
        mark = f"rollout {course.number}: v{version}"
        to = follow_change(seen, mark, answered=False, now=datetime.now(UTC))
        if to == seen or not marks.move(seen, to):
            return
        payload = {"version": version, "champion": course.champion, "reason": words}
        publish_event(course.service, "rollout.conflict", payload)

    def _begin_wanted(self, service: str) -> None:
        """Begin the rollout of a candidate that no event began."""
        if load_service(service, environment_name()).rollout.start != "auto":
            return
        found = find_untried(self._control, self._registry, service)
        if found is not None:
            self._start(service, found, f"v{found}", resume=False)

    def _start(self, service: str, version: int, key: str, resume: bool) -> None:
        """Start a controller, once in a while; where Prefect cannot, the next keeper tries."""
        now = datetime.now(UTC)
        turn = f"{now:%Y%m%d%H}-{now.minute // MINUTES}"
        given = {"service": service, "version": version, "resume": resume}
        try:
            run_deployment(
                DEPLOYMENT,
                parameters=given,
                timeout=0,
                as_subflow=False,
                idempotency_key=f"{service}-{key}-{turn}",
            )
        except Exception as error:  # not deployed, or the server is away
            self._troubles.append(f"{service}: no controller could be started: {error}")
            return
        self._done.append(f"{service}: a controller for v{version} was started")


def find_untried(control: Control, registry: Registry, service: str) -> int | None:
    """Give the candidate that passed its gates and that no rollout ever had.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    found, champion = (registry.find_alias(service, name) for name in (CANDIDATE, CHAMPION))
    if found is None or champion is None or champion.version == found.version:
        return None
    if found.tags.get(ANSWER, ApprovalAnswer.APPROVED) != ApprovalAnswer.APPROVED:
        return None
    try:
        check_verdicts(found)
    except PromotionRefused:
        return None
    tried = {item.candidate for item in control.rollouts.list_rollouts(service)}
    return None if found.version in tried else found.version


def describe_service(
    control: Control, service: str, course: RolloutRecord | None, controlled: bool, note: str
) -> list[dict[str, str]]:
    """Give the overview's row of a service; nothing where no champion was ever released.

    Raises:
        Fault: the control store cannot be reached.
    """
    route = control.routes.find(service)
    if route is None:
        return []
    row = {"service": service, "serves": f"v{route.champion}", "note": note}
    if course is None:
        return [row]
    state, policy = course.state, course.policy
    return [
        {
            **row,
            "on trial": f"v{course.candidate}",
            "phase": state.phase.value,
            "stage": policy.stages[state.stage].name,
            "weight": f"{state.weight(policy):.0%}",
            "controller": "at work" if controlled else "gone: the champion serves alone",
            "note": "; ".join(filter(None, (note, state.reason))),
        }
    ]
