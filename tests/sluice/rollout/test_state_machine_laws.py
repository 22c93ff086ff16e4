"""Laws of the state machine under any facts and commands, in any order."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sluice.rollout.facts import Arm, Facts, Units
from sluice.rollout.log import Derived, derive, write_opening, write_step
from sluice.rollout.observation import find_rejections
from sluice.rollout.state import (
    ALLOWED,
    Action,
    Command,
    Decision,
    Phase,
    RolloutState,
    Verb,
    start,
)
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, RATE, arm_of

counts = st.one_of(st.integers(0, 2000).map(float), st.sampled_from([float("nan"), -1.0]))


@st.composite
def arms(draw: st.DrawFn) -> Arm | None:
    if draw(st.booleans()) and draw(st.booleans()):
        return None
    requests = draw(counts)
    whole = requests if requests > 0 else 0.0  # not a number is not above 0
    failures = draw(st.sampled_from([0.0, 0.01, 0.5, 1.0])) * whole
    answered = whole - failures
    return Arm(
        requests=requests,
        failures=failures,
        latencies={350: answered * 0.9, 420: answered * 0.1},
        guardrails=draw(st.sampled_from([0.0, 0.0, 0.3])) * whole,
        feedbacks=10.0,
        negatives=draw(st.integers(0, 10)) * 1.0,
        compared=whole,
        differing=draw(st.sampled_from([0.0, 0.5])) * whole,
    )


class RolloutMachine(RuleBasedStateMachine):
    state: RolloutState
    before: RolloutState
    decision: Decision
    records: list[dict[str, Any]]

    @initialize()
    def open(self) -> None:
        past = [arm_of(RATE, 2) for _ in range(20)]
        self.state = self.before = start(LAPTOP, past)
        self.decision = Decision(Verb.HOLD, "")
        self.records = [write_opening(LAPTOP, past, 0)]

    def advance(self, facts: Facts, command: Command | None) -> None:
        self.before = self.state
        self.state, self.decision = step(self.state, facts, command, LAPTOP)
        derived = Derived(self.state, self.decision)
        record = write_step(len(self.records), facts, command, derived, LAPTOP)
        self.records.append(record)

    @rule(
        arms=st.tuples(arms(), arms()),
        current=st.sampled_from([True, True, True, False]),
        tripped=st.integers(0, 9).map(lambda item: item == 0),
        alarm=st.sampled_from([-5.0, -5.0, -1.0, 3.0, 20.0, float("nan")]),
        smoke=st.sampled_from([True, True, False, None]),
        units=st.sampled_from([None, Units(50, 950), Units(900, 100)]),
    )
    def tick(
        self,
        arms: tuple[Arm | None, Arm | None],
        current: bool,
        tripped: bool,
        alarm: float,
        smoke: bool | None,
        units: Units | None,
    ) -> None:
        epoch = self.state.epoch if current else self.state.epoch - 1
        facts = Facts(*arms, epoch, units, tripped, alarm, smoke, smoke)
        self.advance(facts, None)

    @rule(many=st.integers(5, 25))
    def healthy_traffic(self, many: int) -> None:
        for _ in range(many):
            weight = self.state.weight(LAPTOP) or 1.0
            arm = arm_of(round(RATE * 5 * weight), 1)
            shadow = replace(arm, compared=arm.requests)
            facts = Facts(
                shadow, arm_of(RATE * 5, 7), self.state.epoch, None, False, -3.0, True, True
            )
            self.advance(facts, None)

    @rule(action=st.sampled_from(list(Action)))
    def command(self, action: Action) -> None:
        self.advance(Facts(), Command(action, "ada", "because"))

    @invariant()
    def weight_is_never_above_the_stages(self) -> None:
        allowed = {0.0, LAPTOP.stages[self.state.stage].weight}
        if self.state.phase in (Phase.SOAK, Phase.DONE):
            allowed = {1.0}
        assert self.state.weight(LAPTOP) in allowed

    @invariant()
    def traffic_grows_only_when_every_test_passed_or_a_person_said_so(self) -> None:
        grew = self.state.weight(LAPTOP) > self.before.weight(LAPTOP)
        thawed = self.before.phase is Phase.FROZEN
        if grew and not thawed:
            assert self.decision.verb in (Verb.ADVANCE, Verb.OBEY)
        if self.decision.verb is Verb.ADVANCE:
            assert not find_rejections(self.before.observation, LAPTOP)
            assert self.state.stage == self.before.stage + 1 or self.state.phase is Phase.SOAK

    @invariant()
    def final_is_final_and_nothing_else_is_a_dead_end(self) -> None:
        if self.before.phase.is_final:
            assert self.state is self.before
        if not self.state.phase.is_final and self.state.phase is not Phase.ROLLING_BACK:
            assert any(self.state.phase in phases for phases in ALLOWED.values())

    @invariant()
    def epoch_goes_up_with_the_weight(self) -> None:
        changed = self.state.weight(LAPTOP) != self.before.weight(LAPTOP)
        assert self.state.epoch >= self.before.epoch
        if changed:
            assert self.state.epoch > self.before.epoch

    def teardown(self) -> None:
        if not hasattr(self, "records"):
            return
        lines = [json.loads(json.dumps(record)) for record in self.records]
        states = [item.state for item in derive(lines, LAPTOP)]
        if states:
            assert (states[-1].phase, states[-1].epoch) == (self.state.phase, self.state.epoch)


TestRolloutMachine = RolloutMachine.TestCase
TestRolloutMachine.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
