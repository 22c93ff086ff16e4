"""Every halt, rollback and hold says what a person can do, with commands that are allowed then."""

import re
from dataclasses import replace

import pytest

from sluice.config.rollout import RouteConfig
from sluice.control.admission import GATES
from sluice.home import PROJECT
from sluice.report.next_steps import advise, advise_halt, needs_help, needs_person
from sluice.report.rollout import write_page
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import ALLOWED, Action, Phase
from sluice.verdict import Outcome, Verdict
from support.rollouts.counts import LAPTOP, begin

STOPPED = (Phase.HOLDING, Phase.PAUSED, Phase.FROZEN, Phase.ROLLED_BACK, Phase.ABORTED)


def record_of(phase: Phase, blocks: int = 0) -> RolloutRecord:
    state = begin()
    observation = replace(state.observation, blocks=blocks)
    state = replace(state, phase=phase, observation=observation)
    return RolloutRecord("employment", 1, 1, 2, LAPTOP, RouteConfig(), "salt", state)


@pytest.mark.parametrize("phase", STOPPED)
@pytest.mark.parametrize("blocks", [0, 10**6])
def test_the_page_of_a_stopped_rollout_has_a_command_that_is_allowed(
    phase: Phase, blocks: int
) -> None:
    record = record_of(phase, blocks)
    advice = advise(record)
    assert f"Next: {advice}" in write_page(record, [])
    commands = re.findall(r"`sluice ([a-z-]+) employment ?([a-z]*)", advice)
    assert commands
    for command, action in commands:
        if command == "rollout-control":
            assert phase in ALLOWED[Action(action)]
        if command == "rollback":
            assert phase in ALLOWED[Action.ROLL_BACK]


def test_a_hold_beyond_its_maximum_asks_for_a_person() -> None:
    most = LAPTOP.count_blocks(LAPTOP.stages[0].max)
    assert not needs_person(record_of(Phase.HOLDING, most - 1))
    assert needs_person(record_of(Phase.HOLDING, most))
    assert needs_person(record_of(Phase.HOLDING, most + 1))
    assert advise(record_of(Phase.HOLDING, most)).startswith("a person has to decide: ")


def test_a_stage_that_a_person_must_approve_asks_for_it() -> None:
    first = LAPTOP.stages[0].model_copy(update={"approve": True})
    policy = LAPTOP.model_copy(update={"stages": (first, *LAPTOP.stages[1:])})
    record = replace(record_of(Phase.HOLDING), policy=policy)
    assert advise(record).startswith("`sluice rollout-control employment approve --by NAME")
    assert needs_help(record)
    approved = replace(record, state=replace(record.state, approved=True))
    assert advise(approved).startswith("wait for the evidence; ")
    assert not needs_help(approved)


@pytest.mark.parametrize("phase", sorted(set(Phase) - set(STOPPED)))
def test_a_rollout_that_moves_asks_for_nothing(phase: Phase) -> None:
    assert advise(record_of(phase)) == ""


WITHOUT_SERVICE = {"serving/page/status/overview.py": "no service has a champion yet"}
"""Files with a hint that cannot name the service, with the reason."""


def test_every_hint_names_the_service_instead_of_a_word_for_it() -> None:
    literal = re.compile(r"`(\.venv/bin/)?sluice [a-z-]+ SERVICE|promote SERVICE")
    found = {
        str(file.relative_to(PROJECT))
        for room in ("sluice", "tasks", "flows", "cli", "serving", "demo")
        for file in (PROJECT / room).rglob("*.py")
        if literal.search(file.read_text(encoding="utf-8"))
    }
    assert found == set(WITHOUT_SERVICE)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.INSUFFICIENT])
def test_every_halt_has_the_command_that_tries_it_again(gate: str, outcome: Outcome) -> None:
    command = "ingest churn FILE" if gate == "data" else "release churn"
    for step, shown in (("take more rows", "take more rows"), ("", "correct the cause")):
        halted = Verdict(gate, outcome, (), "auc .790", step)
        assert advise_halt(halted, "churn") == f"{shown}; then: `sluice {command}`"
