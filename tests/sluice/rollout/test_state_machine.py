"""The state machine: how each phase is entered and left, and what never happens."""

from dataclasses import replace

import numpy as np
import pytest

from sluice.config.policy import RatioRule
from sluice.rollout.facts import Facts, Units
from sluice.rollout.state import ALLOWED, Action, Command, Decision, Phase, RolloutState, Verb
from sluice.rollout.state_machine import enter_stage, step
from support.rollouts.counts import LAPTOP, arm_of, begin, drive, facts_of, run_to


def command(action: Action) -> Command:
    return Command(action, "ada", "because")


def begin_step(
    state: RolloutState, facts: Facts, given: Command | None = None
) -> tuple[RolloutState, Decision]:
    return step(state, facts, given, LAPTOP)


def fail_until_it_leaves(state: RolloutState, rng: np.random.Generator, ticks: int) -> RolloutState:
    """Step on traffic on which three in ten fail, until the phase is another."""
    phase = state.phase
    for _ in range(ticks):
        state, _ = begin_step(state, facts_of(state, rng, candidate=0.3))
        if state.phase is not phase:
            break
    return state


def test_healthy_candidate_walks_through_every_stage() -> None:
    steps = list(drive(begin(), np.random.default_rng(0), ticks=400))
    phases = [item.state.phase for item in steps]
    order = [
        phase for before, phase in zip([None, *phases], phases, strict=False) if phase != before
    ]
    assert next(phase for phase in order if phase is not Phase.HOLDING) is Phase.SHADOW
    assert phases[-1] is Phase.DONE
    weights = [item.state.weight(LAPTOP) for item in steps]
    assert sorted(set(weights)) == [0.0, 0.05, 0.25, 0.5, 1.0]
    assert weights == sorted(weights)


def test_candidate_that_fails_ten_points_more_is_rolled_back() -> None:
    steps = list(drive(begin(), np.random.default_rng(1), ticks=400, candidate=0.11))
    assert steps[-1].state.phase is Phase.ROLLED_BACK
    decisive = next(item.decision for item in steps if item.decision.verb is Verb.ROLL_BACK)
    assert decisive.rule in ("error_rate", "error_margin")


def test_slow_candidate_is_rolled_back() -> None:
    steps = list(drive(begin(), np.random.default_rng(2), ticks=400, slower=1.6))
    assert steps[-1].state.phase is Phase.ROLLED_BACK
    decisive = next(item.decision for item in steps if item.decision.verb is Verb.ROLL_BACK)
    assert decisive.rule.startswith("latency")


def test_what_is_missing_holds_and_lets_the_lease_lapse() -> None:
    state = run_to(Phase.CANARY)
    blocks = state.observation.blocks
    for _ in range(3):
        assert state.renews
        state, decision = begin_step(state, Facts(epoch=state.epoch, missing="no replica answers"))
        assert (decision.verb, decision.reason) == (Verb.HOLD, "no replica answers")
    assert state.phase is Phase.HOLDING
    assert not state.renews
    assert state.observation.blocks == blocks


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"failures": float("nan")}, "candidate: failures is nan"),
        ({"requests": -3.0}, "candidate: requests is -3"),
        ({"failures": 99.0}, "exceed requests"),
    ],
)
def test_impossible_counts_are_not_used(values: dict[str, float], words: str) -> None:
    state = run_to(Phase.CANARY)
    facts = facts_of(state, np.random.default_rng(3))
    assert facts.candidate is not None
    broken = replace(facts, candidate=replace(facts.candidate, **values))
    held, decision = begin_step(state, broken)
    assert decision.verb is Verb.HOLD
    assert words in decision.reason
    assert held.observation is state.observation


def test_facts_of_another_epoch_are_not_used() -> None:
    state = run_to(Phase.CANARY)
    facts = replace(facts_of(state, np.random.default_rng(4)), epoch=state.epoch - 1)
    held, decision = begin_step(state, facts)
    assert "the gateways serve epoch" in decision.reason
    assert held.observation is state.observation


def test_rollout_with_an_arm_without_traffic_never_advances() -> None:
    state = run_to(Phase.CANARY)
    for _ in range(200):
        facts = replace(facts_of(state, np.random.default_rng(5)), candidate=arm_of(0, 0))
        state, decision = begin_step(state, facts)
        assert decision.verb is Verb.HOLD
    assert (state.phase, state.weight(LAPTOP)) == (Phase.HOLDING, 0.05)


def test_incident_of_both_arms_freezes_and_blames_nobody() -> None:
    state = run_to(Phase.CANARY)
    facts = replace(facts_of(state, np.random.default_rng(6)), tripped=True, champion_alarm=4.0)
    frozen, decision = begin_step(state, facts)
    assert (frozen.phase, decision.verb, frozen.weight(LAPTOP)) == (Phase.FROZEN, Verb.FREEZE, 0.0)
    still, _ = begin_step(frozen, replace(facts, epoch=frozen.epoch))
    assert still.phase is Phase.FROZEN
    quiet = replace(facts, epoch=frozen.epoch, tripped=False, champion_alarm=-2.0)
    thawed, decision = begin_step(still, quiet)
    assert (thawed.phase, decision.verb) == (Phase.HOLDING, Verb.THAW)
    assert thawed.observation.blocks == state.observation.blocks


def test_breaker_of_the_candidate_alone_rolls_back() -> None:
    state = run_to(Phase.CANARY)
    facts = replace(facts_of(state, np.random.default_rng(7)), tripped=True, champion_alarm=-1.0)
    back, decision = begin_step(state, facts)
    assert (back.phase, decision.rule, back.weight(LAPTOP)) == (Phase.ROLLING_BACK, "breaker", 0.0)
    waiting, _ = begin_step(back, replace(facts, tripped=False))
    assert waiting.phase is Phase.ROLLING_BACK
    ended, _ = begin_step(waiting, replace(facts, tripped=False, epoch=back.epoch))
    assert ended.phase is Phase.ROLLED_BACK


def test_uneven_arms_hold() -> None:
    state = run_to(Phase.CANARY)
    decisions = []
    for _ in range(80):
        facts = facts_of(state, np.random.default_rng(8))
        state, decision = begin_step(state, replace(facts, units=Units(9_000, 91_000)))
        decisions.append(decision)
    assert state.phase is Phase.HOLDING
    assert "sample ratio" in decisions[-1].reason


def test_paused_rollout_still_rolls_back_and_never_advances() -> None:
    state = run_to(Phase.CANARY)
    paused, _ = begin_step(state, Facts(), command(Action.PAUSE))
    rng = np.random.default_rng(9)
    quiet = paused
    for _ in range(100):
        quiet, decision = begin_step(quiet, facts_of(quiet, rng))
        assert decision.verb is Verb.HOLD
    assert (quiet.phase, quiet.observation.blocks) == (Phase.PAUSED, state.observation.blocks)
    assert fail_until_it_leaves(paused, rng, ticks=100).phase is Phase.ROLLING_BACK


def test_frozen_pause_comes_back_as_a_pause() -> None:
    paused, _ = begin_step(run_to(Phase.CANARY), Facts(), command(Action.PAUSE))
    frozen, _ = begin_step(paused, Facts(epoch=paused.epoch, champion_alarm=20.0))
    assert frozen.phase is Phase.FROZEN
    facts = replace(facts_of(frozen, np.random.default_rng(10)), champion_alarm=-1.0)
    thawed, _ = begin_step(frozen, facts)
    assert thawed.phase is Phase.PAUSED


def test_pause_rule_waits_for_a_person_who_may_override_it() -> None:
    asking = RatioRule(ratio=2.0, action="pause")
    rules = LAPTOP.rules.model_copy(update={"feedback": asking})
    policy = LAPTOP.model_copy(update={"rules": rules})
    state, rng = enter_stage(begin(policy), 1, policy), np.random.default_rng(11)
    for _ in range(60):
        facts = facts_of(state, rng)
        assert facts.candidate is not None
        sour = replace(facts.candidate, feedbacks=5.0, negatives=5.0)
        fair = replace(facts.champion, feedbacks=100.0, negatives=5.0)
        both = replace(facts, candidate=sour, champion=fair)
        state, decision = step(state, both, None, policy)
        if state.phase is Phase.PAUSED:
            break
    assert (decision.verb, decision.rule) == (Verb.PAUSE, "feedback")
    resumed, _ = step(state, Facts(), command(Action.RESUME), policy)
    onward, decision = step(resumed, facts_of(resumed, rng), None, policy)
    assert onward.phase is not Phase.PAUSED
    assert onward.observation.waived == {"feedback"}


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.CANARY, Phase.DONE])
def test_command_is_obeyed_or_refused_with_a_reason(action: Action, phase: Phase) -> None:
    state = begin() if phase is Phase.PENDING else run_to(phase)
    after, decision = begin_step(state, Facts(), command(action))
    if state.phase in ALLOWED[action]:
        assert decision.verb is Verb.OBEY
        assert "ada: because" in decision.reason
    else:
        assert decision.verb is Verb.REFUSE
        assert "allowed while it is" in decision.reason
        assert after is state


def test_command_without_a_name_is_refused() -> None:
    state = run_to(Phase.CANARY)
    after, decision = begin_step(state, Facts(), Command(Action.ABORT, " ", "because"))
    assert decision.verb is Verb.REFUSE
    assert after is state


def test_soak_rolls_back_on_errors_and_waits_for_traffic() -> None:
    state = run_to(Phase.SOAK)
    silent, decision = begin_step(
        state, replace(facts_of(state, np.random.default_rng(12)), candidate=arm_of(0, 0))
    )
    assert decision.reason == "soak: no traffic"
    assert silent.renews
    rng = np.random.default_rng(13)
    assert fail_until_it_leaves(silent, rng, ticks=10).phase is Phase.ROLLING_BACK


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts(candidate=arm_of(100, 1), epoch=2), "soak: the gateways serve epoch 2, "),
        (Facts(candidate=replace(arm_of(9, 1), cost=-1.0)), "soak: candidate: cost is -1"),
        (Facts(missing="no replica answers"), "soak: no replica answers"),
        (Facts(), "soak: counters could not be read"),
    ],
    ids=["an epoch that lags", "an impossible count", "a known reason", "no reason"],
)
def test_soak_says_why_a_tick_cannot_be_used(facts: Facts, words: str) -> None:
    state = run_to(Phase.SOAK)
    after, decision = begin_step(state, facts)
    assert decision.reason.startswith(words)
    assert (after.missed_ticks, after.soak) == (1, state.soak)


def test_stage_that_is_not_passed_by_its_max_holds_or_rolls_back_as_configured() -> None:
    rng = np.random.default_rng(14)
    steps = list(drive(begin(), rng, ticks=150, candidate=0.03))
    assert steps[-1].state.phase in (Phase.HOLDING, Phase.ROLLED_BACK)
    stages = tuple(stage.model_copy(update={"on_max": "roll_back"}) for stage in LAPTOP.stages)
    strict = LAPTOP.model_copy(update={"stages": stages})
    state = begin(strict)
    for _ in range(150):
        state, decision = step(state, replace(facts_of(state, rng), smoke=None), None, strict)
        if decision.verb is Verb.ROLL_BACK:
            break
    assert decision.rule == "on_max"
