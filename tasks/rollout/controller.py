"""The controller of a rollout: tick by tick, each one transaction, until it ends."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.control.rollouts import Tick
from sluice.control.command import RecordedCommand
from sluice.errors import Fault, RolloutRolledBack
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, write_step
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Command, Phase
from sluice.rollout.state_machine import step
from tasks.rollout.aliases import settle_ended, try_follow
from tasks.rollout.collection import MetricsCollector
from tasks.rollout.lease import ControllerLease, is_controlled
from tasks.rollout.progress import RolloutArtifacts
from tasks.run.leases import prepare_control

POLL_SECONDS = 0.25
"""How often a command is looked for between two ticks."""
AGAIN_SECONDS = 30.0
"""Pause after a registry did not take the aliases."""


@dataclass(frozen=True)
class RolloutResult:
    """How a rollout ended."""

    service: str
    version: int
    number: int
    phase: str
    reason: str


class Controller:
    """Steps one rollout under this run's lease."""

    def __init__(
        self,
        held: ControllerLease,
        course: RolloutRecord,
        lookout: MetricsCollector,
        pages: RolloutArtifacts,
    ) -> None:
        self._held, self._lookout, self._pages = held, lookout, pages
        self.course = course
        self._log = get_run_logger()
        self._followed, self._tried = Phase.PENDING, 0.0
        held.renewal.touch(course)

    def run(self) -> RolloutRecord:
        """Tick until the rollout is over; a store that is away costs ticks, never the rollout.

        Raises:
            LeaseLost: another controller has taken over; nothing more is changed.
            RouteMoved: somebody else changed the route.
        """
        due = time.monotonic()
        while not self.course.state.phase.is_final:
            try:
                if self._obey():
                    continue
                if time.monotonic() >= due:
                    self._tick()
                    due = max(due + self.course.policy.block, time.monotonic())
            except Fault as error:
                self._log.warning("no tick: %s", error)
                self._reload()
            self._follow()
            time.sleep(max(0.0, min(POLL_SECONDS, due - time.monotonic())))
        return self.course

    def _obey(self) -> bool:
        """Carry out the oldest command that waits; say whether there was one."""
        course = self.course
        given = self._held.control.commands.find_next(course.service, course.number)
        if given is None:
            return False
        self._write(course, Facts(), given)
        return True

    def _tick(self) -> None:
        if self.course.state.phase is Phase.PENDING:
            self._write(self.course, Facts(epoch=self.course.state.epoch))
            return
        self._write(*self._lookout.look(self.course))

    def _write(
        self, course: RolloutRecord, facts: Facts, given: RecordedCommand | None = None
    ) -> None:
        """Make a step and write it; only then does anything else see it."""
        command = Command(Action(given.action), given.by, given.why) if given else None
        state, decision = step(course.state, facts, command, course.policy)
        derived = Derived(state, decision)
        record = write_step(course.tick, facts, command, derived, course.policy)
        moved = state.epoch != course.state.epoch
        after = replace(course, state=state, readings={} if moved else course.readings)
        tick = Tick(after, {**record, "salt": after.salt}, decision, given)
        control, lease = self._held.control, self._held.lease
        self.course = control.rollouts.write(lease, self.course, tick, datetime.now(UTC))
        self._held.renewal.touch(self.course)
        self._pages.show(self.course, decision, record)

    def _reload(self) -> None:
        """Go on from what the store has: a tick may be written though its answer was lost."""
        time.sleep(POLL_SECONDS)
        try:
            found = self._held.control.rollouts.find(self.course.service, self.course.number)
        except Fault:
            return
        self.course = found or self.course

    def _follow(self) -> None:
        """Keep the registry's aliases where the phase says; a registry that is away waits."""
        phase, now = self.course.state.phase, time.monotonic()
        if phase is self._followed or now - self._tried < AGAIN_SECONDS:
            return
        if try_follow(self.course):
            self._followed = phase
        else:
            self._tried = now


def run_controller(
    held: ControllerLease, course: RolloutRecord, notes: tuple[str, ...] = ()
) -> RolloutResult:
    """Control a rollout to its end, and leave the aliases where they belong.

    Raises:
        LeaseLost: another controller has taken over.
        RouteMoved: somebody else changed the route.
        ConfigInvalid: the gateway's settings are not right.
    """
    pages = RolloutArtifacts(held.control, course, notes)
    try:
        course = Controller(held, course, MetricsCollector(course.service), pages).run()
        if try_follow(course):
            held.control.rollouts.settle(course)
    finally:
        pages.end()
    state = course.state
    return RolloutResult(
        course.service, course.candidate, course.number, state.phase.value, state.reason
    )


def conclude_run(ended: RolloutResult) -> RolloutResult:
    """Give how a rollout ended where the candidate was not beaten.

    Raises:
        RolloutRolledBack: it was.
    """
    if ended.phase == Phase.ROLLED_BACK:
        raise RolloutRolledBack(
            f"{ended.reason}; {ended.service} v{ended.version} has no traffic; "
            f"next: the page {ended.service}-rollout has the evidence"
        )
    return ended


RESUME_SECONDS = 60.0
"""A run that only resumes does not wait for longer: the keeper comes again."""


def find_no_need(service: str) -> str:
    """Say why nothing is to be resumed; empty where something is.

    Raises:
        Fault: the control store cannot be reached.
    """
    control = prepare_control()
    if control.rollouts.find_open(service) is None:
        return f"no rollout of {service} is under way"
    return f"the rollout of {service} has a controller" if is_controlled(control, service) else ""


def resume_controller(held: ControllerLease, service: str) -> RolloutResult | None:
    """Bring the rollout that another controller left to its end; None where there is none.

    Raises:
        LeaseLost: another controller has taken over.
        Fault: the control store or the registry cannot be reached.
    """
    settle_ended(held.control, service)
    course = held.control.rollouts.find_open(service)
    if course is None:
        return None
    get_run_logger().warning(
        "rollout %d of %s v%d, %s, is continued from tick %d",
        *(course.number, service, course.candidate, course.state.phase, course.tick),
    )
    return run_controller(held, course)
