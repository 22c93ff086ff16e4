"""Rollouts on a real database: a tick is written whole, by the controller, once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from sluice.adapters.control.database import Database
from sluice.adapters.control.rollouts import CONTROLLER, Opening, Tick
from sluice.adapters.control.store import Control
from sluice.config.rollout import RouteConfig
from sluice.control.command import RecordedCommand
from sluice.control.lease import Lease
from sluice.control.route import Mode, Route
from sluice.errors import CommandRefused, LeaseLost, RolloutRefused, RouteMoved
from sluice.home import Home
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, derive, write_step
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Command, Phase, write_state
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, facts_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPENING = Opening("employment", 3, 4, LAPTOP, RouteConfig(), "salt")


@pytest.fixture
def held(control: Control) -> Lease:
    """The controller's lease, on a service whose champion is v3."""
    control.routes.swap(None, Route("employment", 3))
    return control.leases.acquire("employment", CONTROLLER, "first", 15)


def make_tick(rollout: RolloutRecord, facts: Facts, given: RecordedCommand | None = None) -> Tick:
    command = Command(Action(given.action), given.by, given.reason) if given else None
    state, decision = step(rollout.state, facts, command, rollout.policy)
    record = write_step(rollout.tick, facts, command, Derived(state, decision), rollout.policy)
    return Tick(replace(rollout, state=state), record, decision, given)


def run(
    control: Control, held: Lease, rollout: RolloutRecord, ticks: int, **traffic: Any
) -> RolloutRecord:
    """Write so many ticks of made-up traffic, each on what the store has."""
    rng = np.random.default_rng(7)
    for _ in range(ticks):
        tick = make_tick(rollout, facts_of(rollout.state, rng, **traffic))
        rollout = control.rollouts.write(held, rollout, tick, NOW)
    return rollout


def take_over(control: Control, held: Lease) -> Lease:
    taken = control.leases.take(control.leases.find("employment", CONTROLLER), "second", 15)
    assert taken is not None
    return taken


def test_one_that_is_opened_is_found_with_its_first_record(control: Control, held: Lease) -> None:
    rollout = control.rollouts.open(held, OPENING, NOW)
    assert (rollout.number, rollout.state.phase, rollout.state.epoch) == (1, Phase.PENDING, 1)
    found = control.rollouts.find_open("employment")
    assert found is not None
    assert write_state(found.state) == write_state(rollout.state)
    assert replace(found, state=rollout.state) == rollout
    [(at, record)] = control.rollouts.read_log("employment", 1)
    assert (at, record["tick"]) == (NOW, 0)


def test_a_second_one_is_refused_while_the_first_is_open(control: Control, held: Lease) -> None:
    control.rollouts.open(held, OPENING, NOW)
    with pytest.raises(RolloutRefused, match="a rollout of v4 is under way"):
        control.rollouts.open(held, OPENING, NOW)


def test_a_route_of_another_champion_is_refused(control: Control, held: Lease) -> None:
    with pytest.raises(RolloutRefused, match="names v3, not v2 alone"):
        control.rollouts.open(held, replace(OPENING, champion=2), NOW)
    lease = control.leases.acquire("arrivals", CONTROLLER, "first", 15)
    with pytest.raises(RolloutRefused, match="no champion was ever released"):
        control.rollouts.open(lease, replace(OPENING, service="arrivals"), NOW)


def test_state_log_and_route_move_together(control: Control, held: Lease) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 1)
    route = control.routes.find("employment")
    assert route is not None
    assert (rollout.state.phase, route.mode, route.candidate) == (Phase.SHADOW, Mode.SHADOW, 4)
    assert rollout.state.epoch == route.epoch == 2
    assert rollout.tick == len(control.rollouts.read_log("employment", 1))
    run(control, held, rollout, 1)
    renewed = control.routes.find("employment")
    assert renewed is not None
    assert (renewed.epoch, renewed.renewal) == (2, 1)


def test_a_whole_rollout_is_derived_again_from_its_log(control: Control, held: Lease) -> None:
    rollout = control.rollouts.open(held, OPENING, NOW)
    for _ in range(400):
        if rollout.state.phase.is_final:
            break
        rollout = run(control, held, rollout, 1)
    assert rollout.state.phase is Phase.DONE
    records = [record for _, record in control.rollouts.read_log("employment", 1)]
    assert [record["tick"] for record in records] == list(range(rollout.tick))
    last = list(derive(records, LAPTOP))[-1]
    assert write_state(last.state) == write_state(rollout.state)
    route = control.routes.find("employment")
    assert route is not None
    assert (route.champion, route.candidate, route.epoch) == (4, None, rollout.state.epoch)
    assert control.rollouts.find_open("employment") is None
    assert [item.number for item in control.rollouts.list_unsettled()] == [1]
    control.rollouts.settle(rollout)
    assert control.rollouts.list_unsettled() == []


def test_a_zombies_tick_changes_nothing(control: Control, held: Lease) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 2)
    given = control.commands.give("employment", "roll-back", "Ada", "slow", NOW)
    second = take_over(control, held)
    before = (control.routes.find("employment"), control.rollouts.read_log("employment", 1))
    with pytest.raises(LeaseLost, match="was taken over"):
        control.rollouts.write(held, rollout, make_tick(rollout, Facts(), given), NOW)
    with pytest.raises(LeaseLost):
        control.rollouts.renew(held, rollout, routed=True)
    assert (control.routes.find("employment"), control.rollouts.read_log("employment", 1)) == before
    assert control.commands.find_next("employment", 1) == given
    after = control.rollouts.write(second, rollout, make_tick(rollout, Facts(), given), NOW)
    assert after.state.phase is Phase.ROLLING_BACK


def test_a_tick_is_written_once(control: Control, held: Lease) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 1)
    tick = make_tick(rollout, Facts())
    control.rollouts.write(held, rollout, tick, NOW)
    with pytest.raises(LeaseLost, match="tick 2 was written by another"):
        control.rollouts.write(held, rollout, tick, NOW)
    assert len(control.rollouts.read_log("employment", 1)) == 3


def test_a_route_that_somebody_moved_undoes_the_whole_tick(control: Control, held: Lease) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 1)
    route = control.routes.find("employment")
    assert route is not None
    control.routes.swap(route, route.follow(3))
    with pytest.raises(RouteMoved):
        control.rollouts.write(held, rollout, make_tick(rollout, Facts()), NOW)
    found = control.rollouts.find_open("employment")
    assert found is not None
    assert found.tick == rollout.tick
    assert len(control.rollouts.read_log("employment", 1)) == 2


def test_a_champion_named_by_hand_does_not_move_the_route_beside_a_rollout(
    control: Control, held: Lease
) -> None:
    rollout = control.rollouts.open(held, OPENING, NOW)
    assert control.routes.follow_champion("employment", 2).champion == 3
    given = control.commands.give("employment", "abort", "Ada", "enough", NOW)
    control.rollouts.write(held, rollout, make_tick(rollout, Facts(), given), NOW)
    assert control.routes.follow_champion("employment", 2).champion == 2


def test_a_lease_that_is_renewed_renews_the_route_where_it_is_told_to(
    control: Control, held: Lease
) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 1)
    renewals = []
    for routed in (True, False, True):
        control.rollouts.renew(held, rollout, routed=routed)
        route = control.routes.find("employment")
        assert route is not None
        renewals.append(route.renewal)
    assert renewals == [1, 1, 2]
    assert control.leases.find("employment", CONTROLLER).renewal == 3


def test_a_command_is_answered_once_and_with_the_decision(control: Control, held: Lease) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 1)
    given = control.commands.give("employment", "pause", "Ada", "lunch", NOW)
    tick = make_tick(rollout, Facts(), given)
    rollout = control.rollouts.write(held, rollout, tick, NOW)
    answered = control.commands.find(given.sequence)
    assert answered is not None
    assert (answered.answer, answered.message) == ("obey", "pause (Ada: lunch)")
    with pytest.raises(CommandRefused, match="answered already"):
        control.rollouts.write(held, rollout, make_tick(rollout, Facts(), given), NOW)


def test_a_command_that_the_phase_does_not_allow_is_answered_with_the_reason(
    control: Control, held: Lease
) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 1)
    given = control.commands.give("employment", "resume", "Ada", "again", NOW)
    control.rollouts.write(held, rollout, make_tick(rollout, Facts(), given), NOW)
    answered = control.commands.find(given.sequence)
    assert answered is not None
    assert answered.answer == "refuse"
    assert answered.message == "resume: the rollout is shadow; allowed while it is paused"


def test_what_waits_when_a_rollout_ends_is_refused(control: Control, held: Lease) -> None:
    rollout = control.rollouts.open(held, OPENING, NOW)
    abort = control.commands.give("employment", "abort", "Ada", "enough", NOW)
    late = control.commands.give("employment", "pause", "Bob", "lunch", NOW)
    control.rollouts.write(held, rollout, make_tick(rollout, Facts(), abort), NOW)
    answered = control.commands.find(late.sequence)
    assert answered is not None
    assert (answered.answer, answered.message) == ("refuse", "the rollout is over: aborted")


def test_without_a_rollout_a_name_or_a_reason_there_is_no_command(
    control: Control, held: Lease
) -> None:
    with pytest.raises(CommandRefused, match="no rollout of employment is under way"):
        control.commands.give("employment", "pause", "Ada", "lunch", NOW)
    control.rollouts.open(held, OPENING, NOW)
    with pytest.raises(CommandRefused, match="found no reason"):
        control.commands.give("employment", "pause", "Ada", " ", NOW)
    assert control.commands.list_commands("employment") == []


def test_what_was_done_by_hand_is_recorded(control: Control) -> None:
    done = control.commands.record("employment", "restore", "Ada", "late", "v3 is champion", NOW)
    assert control.commands.list_commands("employment") == [done]
    assert not done.is_open


def test_nobody_changes_the_decision_log(store: Home, control: Control, held: Lease) -> None:
    control.rollouts.open(held, OPENING, NOW)
    engine = Database(store.control_url).engine
    for change in ("UPDATE rollout_log SET record = ''", "DELETE FROM rollout_log"):
        with (
            pytest.raises(DatabaseError, match="rollout_log are only appended"),
            engine.begin() as open_,
        ):
            open_.execute(text(change))


def test_a_list_of_rollouts_says_where_each_is_and_when_its_last_record_came(
    control: Control, held: Lease
) -> None:
    first = control.rollouts.open(held, OPENING, NOW)
    first = run(control, held, first, 3)
    ending = control.commands.give("employment", "abort", "Ada", "enough", NOW)
    later = NOW + timedelta(seconds=9)
    control.rollouts.write(held, first, make_tick(first, Facts(), ending), later)
    second = control.rollouts.open(held, OPENING, later)
    found = control.rollouts.list_summaries()
    assert [(item.number, item.phase, item.tick, item.ended) for item in found] == [
        (1, Phase.ABORTED, first.tick + 1, later),
        (2, Phase.PENDING, second.tick, None),
    ]
    assert [item.written for item in found] == [later, later]


def test_a_log_is_read_on_from_where_one_was(control: Control, held: Lease) -> None:
    rollout = run(control, held, control.rollouts.open(held, OPENING, NOW), 6)
    whole = control.rollouts.read_log("employment", rollout.number)
    assert control.rollouts.read_log("employment", rollout.number, 3) == whole[3:]
    assert control.rollouts.read_log("employment", rollout.number, 1, 2) == whole[1:3]
