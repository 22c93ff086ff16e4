"""The state machine: how each phase is entered and left, incidents, soak, ticks without traffic."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from sluice.config.policy import RatioRule
from sluice.rollout.breaker import THRESHOLD
from sluice.rollout.evidence import HIGHEST
from sluice.rollout.facts import Arm, Facts, Units
from sluice.rollout.history import History
from sluice.rollout.latency import LatencyLimits
from sluice.rollout.state import ALLOWED, Action, Command, Decision, Phase, RolloutState, Verb
from sluice.rollout.state_machine import enter_stage, list_blockers, promote_candidate, step
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


def test_a_tick_without_traffic_leaves_a_stage_moving() -> None:
    """More traffic alone resolves it: nobody has to do anything."""
    state = run_to(Phase.CANARY)
    facts = facts_of(state, np.random.default_rng(4))
    for missing, words in (
        ({"candidate": Arm()}, "no candidate traffic"),
        ({"champion": Arm()}, "no champion traffic"),
        ({"candidate": Arm(), "champion": Arm()}, "no traffic"),
    ):
        quiet = replace(facts, **missing)
        after, decision = step(state, quiet, None, LAPTOP)
        assert (after.phase, decision.verb) == (Phase.CANARY, Verb.HOLD)
        assert decision.reason.startswith(f"{words}; block ")
        assert after.observation.blocks == state.observation.blocks + 1


def test_of_what_keeps_a_stage_only_a_persons_part_holds_it() -> None:
    state = run_to(Phase.SHADOW)
    short = [item for item in list_blockers(state, Facts(), LAPTOP) if item.holds]
    assert short == []
    long = replace(state, observation=replace(state.observation, blocks=20))
    facts = facts_of(long, np.random.default_rng(4))
    unknown = replace(facts, smoke=None, fair_salt=None)
    found = {
        item.reason.partition(":")[0]: item.holds for item in list_blockers(long, unknown, LAPTOP)
    }
    assert found == {
        "error_margin": False,
        "disagreement": False,
        "shadow balance": True,
        "smoke test": True,
    }


def test_a_soak_without_traffic_waits_and_keeps_its_lease() -> None:
    soaking = run_to(Phase.SOAK)
    missed = soaking
    for _ in range(2):
        missed, _ = step(missed, Facts(epoch=missed.epoch), None, LAPTOP)
    assert missed.missed_ticks == 2
    quiet, decision = step(missed, Facts(candidate=Arm(), epoch=missed.epoch), None, LAPTOP)
    assert (quiet.phase, quiet.missed_ticks, quiet.soak) == (Phase.SOAK, 0, soaking.soak)
    assert (decision.verb, decision.reason) == (Verb.HOLD, "soak: no traffic")


FROZEN = replace(run_to(Phase.CANARY), phase=Phase.FROZEN, reason="both fail")


def step_with(
    state: RolloutState, tripped: bool, alarm: float, seen: bool = True
) -> tuple[RolloutState, Verb]:
    facts = facts_of(state, np.random.default_rng(6))
    facts = replace(facts, tripped=tripped, champion_alarm=alarm)
    after, decision = step(state, facts if seen else replace(facts, champion=None), None, LAPTOP)
    return after, decision.verb


@pytest.mark.parametrize(
    ("tripped", "alarm", "phase", "verb"),
    [
        (False, THRESHOLD, Phase.FROZEN, Verb.FREEZE),
        (False, THRESHOLD - 1e-6, Phase.CANARY, Verb.HOLD),
        (False, nan, Phase.CANARY, Verb.HOLD),
        (True, 0.0, Phase.FROZEN, Verb.FREEZE),
        (True, nan, Phase.FROZEN, Verb.FREEZE),
        (True, -1e-6, Phase.ROLLING_BACK, Verb.ROLL_BACK),
        (True, -inf, Phase.ROLLING_BACK, Verb.ROLL_BACK),
    ],
)
def test_the_champions_evidence_decides_whose_incident_it_is(
    tripped: bool, alarm: float, phase: Phase, verb: Verb
) -> None:
    state = run_to(Phase.CANARY)
    after, found = step_with(state, tripped, alarm)
    assert (after.phase, found) == (phase, verb)
    assert after.epoch == state.epoch + (phase is not Phase.CANARY)


@pytest.mark.parametrize(
    ("tripped", "alarm", "seen", "phase", "verb"),
    [
        (False, -1e-6, True, Phase.HOLDING, Verb.THAW),
        (False, -1e-6, False, Phase.FROZEN, Verb.HOLD),
        (False, 0.0, True, Phase.FROZEN, Verb.HOLD),
        (False, nan, True, Phase.FROZEN, Verb.HOLD),
        (True, 0.0, True, Phase.FROZEN, Verb.HOLD),
        (True, -1e-6, True, Phase.ROLLING_BACK, Verb.ROLL_BACK),
    ],
)
def test_a_frozen_rollout_thaws_when_the_champion_is_known_to_be_healthy(
    tripped: bool, alarm: float, seen: bool, phase: Phase, verb: Verb
) -> None:
    after, found = step_with(FROZEN, tripped, alarm, seen)
    assert (after.phase, found) == (phase, verb)
    assert after.epoch == FROZEN.epoch + (phase is not Phase.FROZEN)


def with_guardrails(state: RolloutState, requests: float, hits: float) -> RolloutState:
    """Give the state with another history of the champion's guardrail hits."""
    item = state.observation.evidence["guardrail"]
    history = History(np.array([requests]), np.array([hits]))
    evidence = {**state.observation.evidence, "guardrail": replace(item, history=history)}
    return replace(state, observation=replace(state.observation, evidence=evidence))


@pytest.mark.parametrize(
    ("requests", "hits", "limit"),
    [
        (999.0, 19.5, 3 * 20 / 1000),
        (499.0, 99.0, 3e-3),  # fewer than 500 requests tell nothing: a rate of .001 stands in
        (999.0, 499.5, HIGHEST / 2),
    ],
)
def test_guardrail_hits_may_be_three_times_the_champions(
    requests: float, hits: float, limit: float
) -> None:
    soak = promote_candidate(with_guardrails(run_to(Phase.CANARY), requests, hits), LAPTOP).soak
    assert soak is not None
    assert soak.alarms["guardrail"].limit == pytest.approx(limit)
    assert soak.alarms["error_rate"].limit == 0.05


def test_latency_is_held_against_twice_the_champions_p95() -> None:
    state = run_to(Phase.CANARY)
    baseline = replace(state.observation.baseline, limits=LatencyLimits(100, 111, 180))
    known = replace(state, observation=replace(state.observation, baseline=baseline))
    soak = promote_candidate(known, LAPTOP).soak
    assert soak is not None
    assert (soak.limit, soak.blocks) == (180, 0)
    assert soak.alarms["latency_double"].limit == 0.05
    unknown = replace(
        known, observation=replace(known.observation, baseline=replace(baseline, limits=None))
    )
    soak = promote_candidate(unknown, LAPTOP).soak
    assert soak is not None
    assert (soak.limit, set(soak.alarms)) == (None, {"error_rate", "guardrail"})


def test_it_begins_anew_under_a_new_epoch() -> None:
    state = replace(run_to(Phase.CANARY), missed_ticks=2)
    soaking = promote_candidate(state, LAPTOP)
    assert (soaking.phase, soaking.epoch) == (Phase.SOAK, state.epoch + 1)
    assert (soaking.missed_ticks, soaking.reason) == (0, "soak")
    assert soaking.weight(LAPTOP) == 1.0


def test_a_healthy_candidate_is_promoted_at_its_tenth_block() -> None:
    state, rng = run_to(Phase.SOAK), np.random.default_rng(15)
    for block in range(1, 10):
        state, decision = step(state, facts_of(state, rng), None, LAPTOP)
        assert (decision.verb, decision.reason) == (Verb.HOLD, f"soak: block {block} of 10")
        assert state.missed_ticks == 0
    state, decision = step(state, facts_of(state, rng), None, LAPTOP)
    assert (state.phase, decision.verb) == (Phase.DONE, Verb.FINISH)
    assert decision.reason == "promoted after 10 blocks of soak"


@pytest.mark.parametrize("rule", ["error_rate", "guardrail", "latency_double"])
def test_each_alarm_counts_its_own_figure(rule: str) -> None:
    state = run_to(Phase.SOAK)
    assert state.soak is not None
    assert state.soak.limit is not None
    slow = {state.soak.limit: 50.0, state.soak.limit + 1: 50.0}
    arm = {
        "error_rate": arm_of(100, 50),
        "guardrail": replace(arm_of(100, 0), guardrails=50.0),
        "latency_double": replace(arm_of(100, 0), latencies=slow),
    }[rule]
    back, decision = step(
        state, replace(facts_of(state, np.random.default_rng(1)), candidate=arm), None, LAPTOP
    )
    assert (back.phase, decision.rule) == (Phase.ROLLING_BACK, rule)
    assert back.epoch == state.epoch + 1
    assert decision.reason == f"{rule}: beyond its frozen limit in the soak"
