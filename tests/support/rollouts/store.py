"""Rollouts in a real control store, written as by a controller, on random traffic."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sluice.adapters.control.rollouts import CONTROLLER, Opening, Tick
from sluice.adapters.control.store import Control
from sluice.config.policy import Policy
from sluice.config.rollout import RouteConfig
from sluice.control.command import RecordedCommand
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, write_step
from sluice.rollout.state import Action, Command, Phase, Verb
from sluice.rollout.state_machine import step
from support.rollouts.counts import ERRORS, LAPTOP, RATE, arm_of, facts_of

HOLDER = "amber-otter (flow run 1, x)"


class StoredRollout:
    """One rollout in a store, from its opening on; a tick lasts one block of its policy."""

    def __init__(
        self,
        control: Control,
        service: str,
        versions: tuple[int, int] = (1, 2),
        policy: Policy = LAPTOP,
        opened: datetime | None = None,
        seed: int = 1,
    ) -> None:
        champion, candidate = versions
        self.now = opened or datetime.now(UTC)
        self._control, self._rng = control, np.random.default_rng(seed)
        control.routes.follow_champion(service, champion)
        self.lease = control.leases.acquire(service, CONTROLLER, HOLDER, 15.0)
        before = tuple(
            arm_of(RATE, int(self._rng.binomial(RATE, ERRORS)), self._rng) for _ in range(20)
        )
        terms = RouteConfig(assign_by="request")
        opening = Opening(service, champion, candidate, policy, terms, "salt", before)
        self.record = control.rollouts.open(self.lease, opening, self.now)

    @property
    def phase(self) -> Phase:
        return self.record.state.phase

    def tick(
        self, ticks: int = 1, candidate: float = ERRORS, slower: float = 1.0, **facts: Any
    ) -> None:
        """Write so many ticks, or fewer if the rollout ends."""
        for _ in range(ticks):
            if self.phase.is_final:
                return
            state = self.record.state
            drawn = facts_of(state, self._rng, candidate, slower, self.record.policy)
            self._write(replace(drawn, **facts))

    def tick_to(
        self, phase: Phase, stage: int | None = None, most: int = 400, **given: Any
    ) -> None:
        """Write ticks until the rollout is in a phase, and at a stage if one is given."""
        for _ in range(most):
            if self.phase is phase and stage in (None, self.record.state.stage):
                return
            self.tick(**given)
        raise AssertionError(f"still {self.phase}")

    def command(self, action: Action, by: str, reason: str) -> None:
        """Give a command and answer it, as a controller does between two ticks."""
        self._control.commands.give(self.record.service, action.value, by, reason, self.now)
        self.answer()

    def answer(self) -> None:
        """Answer the open command."""
        command = self._control.commands.find_next(self.record.service, self.record.number)
        assert command is not None
        self._write(Facts(), command)

    def end(self) -> None:
        """Free the controller's lease."""
        self._control.leases.release(self.lease)

    def _write(self, facts: Facts, given: RecordedCommand | None = None) -> None:
        before = self.record
        command = Command(Action(given.action), given.by, given.reason) if given else None
        state, decision = step(before.state, facts, command, before.policy)
        record = write_step(before.tick, facts, command, Derived(state, decision), before.policy)
        self.now += timedelta(seconds=before.policy.block)
        tick = Tick(replace(before, state=state), record, decision, given)
        self.record = self._control.rollouts.write(self.lease, before, tick, self.now)
        assert decision.verb in Verb
