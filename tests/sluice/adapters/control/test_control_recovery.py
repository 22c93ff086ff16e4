"""A restored store's word counts again: above what gateways know, without an open rollout."""

from datetime import UTC, datetime

import pytest

from sluice.adapters.control.store import Control
from sluice.control.route import Mode
from sluice.errors import CommandRefused, LeaseLost
from sluice.rollout.state import Action, Phase
from support.rollouts.store import StoredRollout

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def accept(control: Control, known: int, by: str = "Ada", reason: str = "restored") -> None:
    control.recovery.accept("town", known, by, reason, NOW)


def test_the_route_moves_above_what_gateways_know_and_is_recorded(control: Control) -> None:
    control.routes.follow_champion("town", 1)
    assert control.recovery.find_champion("town", 9) == 1
    accept(control, 9)
    route = control.routes.find("town")
    assert route is not None
    assert (route.champion, route.candidate, route.epoch) == (1, None, 10)
    [command] = control.commands.list_commands("town")
    assert (command.action, command.by, command.reason) == ("accept-store", "Ada", "restored")
    assert command.message == "v1 serves, at epoch 10"


@pytest.mark.parametrize("known", [0, 1])
def test_a_store_that_is_not_behind_is_left_alone(control: Control, known: int) -> None:
    before = control.routes.follow_champion("town", 1)
    with pytest.raises(CommandRefused, match="the store's word counts already"):
        accept(control, known)
    assert control.routes.find("town") == before


@pytest.mark.parametrize(("by", "reason"), [(" ", "restored"), ("Ada", "")])
def test_it_needs_a_name_and_a_reason(control: Control, by: str, reason: str) -> None:
    before = control.routes.follow_champion("town", 1)
    with pytest.raises(CommandRefused, match="needed: a name and a reason"):
        accept(control, 9, by, reason)
    assert control.routes.find("town") == before


def test_without_a_route_it_says_how_to_get_one(control: Control) -> None:
    with pytest.raises(CommandRefused, match="sluice restore town VERSION"):
        accept(control, 9)


@pytest.mark.parametrize("phase", [Phase.CANARY, Phase.SOAK])
def test_a_rollout_of_the_copy_is_over_and_its_champion_serves(
    control: Control, phase: Phase
) -> None:
    stored = StoredRollout(control, "town")
    stored.tick_to(Phase.CANARY)
    if phase is Phase.SOAK:
        stored.command(Action.PROMOTE, "Ada", "a test")
    accept(control, 99)
    route = control.routes.find("town")
    assert route is not None
    assert (route.champion, route.mode, route.epoch) == (1, Mode.CHAMPION, 100)
    ended = control.rollouts.find("town", 1)
    assert ended is not None
    assert ended.state.phase is (Phase.ROLLED_BACK if phase is Phase.SOAK else Phase.ABORTED)
    assert [item.number for item in control.rollouts.list_unsettled()] == [ended.number]
    with pytest.raises(LeaseLost):
        stored.tick()
