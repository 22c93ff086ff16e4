"""The controller of a rollout: one step per tick, each one transaction, until the rollout ends."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.control.store import prepare_control
from sluice.control.command import RecordedCommand
from sluice.errors import Fault, RolloutRolledBack
from sluice.prompts.listing import name_release
from sluice.rollout.facts import Facts
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase
from tasks.rollout.actions import make_tick
from tasks.rollout.aliases import settle_ended, try_follow
from tasks.rollout.collection import MetricsCollector
from tasks.rollout.lease import ControllerLease, is_controlled
from tasks.rollout.progress import RolloutArtifacts
from tasks.run.lineage import name_model, name_production, note_abort, note_input, note_output

POLL_SECONDS = 0.25
"""Seconds between two checks for a command."""
AGAIN_SECONDS = 30.0
"""Seconds before another try if the registry did not move the aliases."""


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
        rollout: RolloutRecord,
        collector: MetricsCollector,
        artifacts: RolloutArtifacts,
    ) -> None:
        self._held, self._collector, self._artifacts = held, collector, artifacts
        self.rollout = rollout
        self._log = get_run_logger()
        self._aliased, self._tried = Phase.PENDING, 0.0
        held.renewal.touch(rollout)

    def run(self) -> RolloutRecord:
        """Step until the rollout is over; a store outage costs ticks, but not the rollout.

        Raises:
            LeaseLost: another controller has taken over; nothing more is changed.
            RouteMoved: another process changed the route.
        """
        due = time.monotonic()
        while not self.rollout.state.phase.is_final:
            try:
                if self._apply_command():
                    continue
                if time.monotonic() >= due:
                    self._tick()
                    due = max(due + self.rollout.policy.block, time.monotonic())
            except Fault as error:
                self._log.warning("no tick: %s", error)
                self._reload()
            self._move_aliases()
            time.sleep(max(0.0, min(POLL_SECONDS, due - time.monotonic())))
        return self.rollout

    def _apply_command(self) -> bool:
        """Apply the oldest open command; return whether there was one."""
        rollout = self.rollout
        command = self._held.control.commands.find_next(rollout.service, rollout.number)
        if command is None:
            return False
        self._write(rollout, Facts(), command)
        return True

    def _tick(self) -> None:
        if self.rollout.state.phase is Phase.PENDING:
            self._write(self.rollout, Facts(epoch=self.rollout.state.epoch))
            return
        self._write(*self._collector.collect(self.rollout))

    def _write(
        self, rollout: RolloutRecord, facts: Facts, given: RecordedCommand | None = None
    ) -> None:
        """Compute a step and write it; only then is it reported."""
        tick = make_tick(rollout, facts, given)
        control, lease = self._held.control, self._held.lease
        self.rollout = control.rollouts.write(lease, self.rollout, tick, datetime.now(UTC))
        self._held.renewal.touch(self.rollout)
        self._artifacts.show(self.rollout, tick.decision, tick.record)

    def _reload(self) -> None:
        """Continue from the store's state: a tick may be written although its reply was lost."""
        time.sleep(POLL_SECONDS)
        try:
            found = self._held.control.rollouts.find(self.rollout.service, self.rollout.number)
        except Fault:
            return
        self.rollout = found or self.rollout

    def _move_aliases(self) -> None:
        """Move the registry's aliases as the phase requires; if it is away, retry later."""
        phase, now = self.rollout.state.phase, time.monotonic()
        if phase is self._aliased or now - self._tried < AGAIN_SECONDS:
            return
        if try_follow(self._held.control, self.rollout):
            self._aliased = phase
        else:
            self._tried = now


def run_controller(
    held: ControllerLease, rollout: RolloutRecord, notes: tuple[str, ...] = ()
) -> RolloutResult:
    """Control a rollout to its end, then move the registry's aliases.

    Raises:
        LeaseLost: another controller has taken over.
        RouteMoved: another process changed the route.
        ConfigInvalid: the gateway's settings are not right.
    """
    note_input(name_model(rollout.service, rollout.candidate))
    note_input(name_production(rollout.service, rollout.champion))
    artifacts = RolloutArtifacts(held.control, rollout, notes)
    try:
        rollout = Controller(held, rollout, MetricsCollector(rollout.service), artifacts).run()
        if try_follow(held.control, rollout):
            held.control.rollouts.settle(rollout)
    finally:
        artifacts.end()
    if rollout.is_serving:
        note_output(name_production(rollout.service, rollout.candidate))
    state = rollout.state
    if state.phase is Phase.ABORTED:
        note_abort(state.reason)
    return RolloutResult(
        rollout.service, rollout.candidate, rollout.number, state.phase.value, state.reason
    )


def conclude_run(ended: RolloutResult) -> RolloutResult:
    """Return a rollout's result, unless the candidate was rolled back.

    Raises:
        RolloutRolledBack: the candidate was rolled back.
    """
    if ended.phase == Phase.ROLLED_BACK:
        raise RolloutRolledBack(
            f"{ended.reason}; {ended.service} v{ended.version} has no traffic; "
            f"next: the page {ended.service}-rollout has the evidence; correct the candidate, then "
            f"`{name_release(ended.service)}`"
        )
    return ended


RESUME_SECONDS = 60.0
"""Longest wait of a run that only resumes; the keeper starts another later."""


def find_no_need(service: str) -> str:
    """Return why no rollout needs to be resumed; empty if one does.

    Raises:
        Fault: the control store cannot be reached.
    """
    control = prepare_control()
    if control.rollouts.find_open(service) is None:
        return f"no rollout of {service} is under way"
    return f"the rollout of {service} has a controller" if is_controlled(control, service) else ""


def resume_controller(held: ControllerLease, service: str) -> RolloutResult | None:
    """Continue a rollout without a controller to its end; return None if there is none.

    Raises:
        LeaseLost: another controller has taken over.
        Fault: the control store or the registry cannot be reached.
    """
    settle_ended(held.control, service)
    rollout = held.control.rollouts.find_open(service)
    if rollout is None:
        return None
    get_run_logger().warning(
        "rollout %d of %s v%d (%s) is continued from tick %d",
        *(rollout.number, service, rollout.candidate, rollout.state.phase, rollout.tick),
    )
    return run_controller(held, rollout)
