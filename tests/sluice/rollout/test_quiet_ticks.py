"""Ticks without traffic: nothing is decided on them, and none of them is a fault."""

from dataclasses import replace

import numpy as np

from sluice.rollout.facts import Arm, Facts
from sluice.rollout.state import Phase, Verb
from sluice.rollout.state_machine import list_blockers, step
from support.rollouts.counts import LAPTOP, facts_of, run_to


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
