"""Routes on a real database: changed only from the epoch that was seen."""

import threading
from dataclasses import replace

import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.control.route import Mode, Route
from sluice.errors import PromotionRefused, RouteMoved
from sluice.home import Home

FIRST = Route("employment", 3)
CANARY = Route(
    *("employment", 3, 4, 0.05, (0.05, 0.25, 0.5), 0.5, "salt", "request"),
    mode=Mode.CANARY,
    arm_timeout_ms=250.5,
    candidate_concurrency=4,
    ttl=3.5,
)


def test_no_route_is_there_before_a_champion(control: Control) -> None:
    assert control.routes.find("employment") is None
    assert control.routes.list_routes() == []


def test_a_route_comes_back_as_it_was_written(control: Control) -> None:
    written = control.routes.swap(None, CANARY)
    assert written == replace(CANARY, epoch=1)
    assert control.routes.find("employment") == written
    assert control.routes.list_routes() == [written]


def test_each_change_is_a_new_epoch_and_the_counter_begins_anew(control: Control) -> None:
    first = control.routes.swap(None, FIRST)
    renewed = control.routes.renew(control.routes.renew(first))
    assert (renewed.epoch, renewed.renewal) == (1, 2)
    second = control.routes.swap(first, CANARY)
    assert (second.epoch, second.renewal) == (2, 0)


def test_a_zombie_changes_nothing(control: Control) -> None:
    seen = control.routes.swap(None, FIRST)
    now = control.routes.swap(seen, CANARY)
    with pytest.raises(RouteMoved, match="at epoch 1, now it is at epoch 2; next: read it again"):
        control.routes.swap(seen, replace(CANARY, weight=1.0))
    with pytest.raises(RouteMoved):
        control.routes.renew(seen)
    assert control.routes.find("employment") == now


def test_a_route_that_is_there_is_not_made_again(control: Control) -> None:
    control.routes.swap(None, FIRST)
    with pytest.raises(RouteMoved, match="there was no route, now it is at epoch 1"):
        control.routes.swap(None, CANARY)


def test_one_that_was_never_made_is_neither_changed_nor_renewed(control: Control) -> None:
    for change in (lambda: control.routes.swap(FIRST, CANARY), lambda: control.routes.renew(FIRST)):
        with pytest.raises(RouteMoved, match="there is none"):
            change()


def test_a_route_never_becomes_another_services(control: Control) -> None:
    seen = control.routes.swap(None, FIRST)
    with pytest.raises(ValueError, match="cannot become one of arrivals"):
        control.routes.swap(seen, Route("arrivals", 1))


def test_the_first_champion_makes_the_route_and_the_next_moves_it(control: Control) -> None:
    made = control.routes.follow_champion("employment", 1)
    assert (made.champion, made.epoch, made.mode) == (1, 1, Mode.CHAMPION)
    assert control.routes.follow_champion("employment", 1) == made
    moved = control.routes.follow_champion("employment", 2)
    assert (moved.champion, moved.epoch) == (2, 2)
    assert control.routes.find("employment") == moved


def test_a_rollout_under_way_is_not_disturbed(control: Control) -> None:
    under_way = control.routes.swap(None, CANARY)
    assert control.routes.follow_champion("employment", 9) == under_way
    assert control.routes.find("employment") == under_way


def test_of_many_that_saw_the_same_one_changes_it(store: Home, control: Control) -> None:
    seen = control.routes.swap(None, FIRST)
    won: list[int] = []

    def change(number: int) -> None:
        try:
            open_control(store).routes.swap(seen, replace(FIRST, champion=number))
        except RouteMoved:
            return
        won.append(number)

    writers = [threading.Thread(target=change, args=(number,)) for number in range(10, 18)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = control.routes.find("employment")
    assert found is not None
    assert (found.champion, found.epoch) == (won[0], 2)
    assert len(won) == 1


def test_routes_of_prompts_are_none_of_the_gateways(control: Control) -> None:
    control.routes.follow_champion("towns", 1)
    control.routes.follow_champion("summarize", 2, "prompt")
    assert [route.service for route in control.routes.list_routes()] == ["towns"]
    assert control.routes.list_routes("prompt") == [control.routes.find("summarize")]
    assert control.routes.follow_champion("summarize", 3, "prompt").kind == "prompt"


def test_a_prompt_does_not_take_over_the_route_of_a_model(control: Control) -> None:
    control.routes.follow_champion("towns", 1)
    with pytest.raises(PromotionRefused, match="towns: found a model of this name"):
        control.routes.follow_champion("towns", 2, "prompt")
    assert control.routes.follow_champion("towns", 1).kind == "model"
