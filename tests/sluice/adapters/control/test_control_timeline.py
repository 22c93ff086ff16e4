"""The audit timeline and moves of the champion on a real database."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from sluice.adapters.control.database import Database
from sluice.adapters.control.migrations import MIGRATIONS, migrate
from sluice.adapters.control.store import Control, open_control
from sluice.adapters.moves import roll_back_champion
from sluice.control.approval import ApprovalAnswer
from sluice.control.command import Author
from sluice.control.route import Route
from sluice.control.timeline import NONE, RESTORE, ROLLBACK, TimelineEntry
from sluice.errors import RolloutRefused, RouteMoved
from sluice.home import Home
from sluice.rollout.state import Action, Phase
from support.rollouts.store import StoredRollout

SERVICE = "town"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STEP = 9
"""The step that creates the timeline."""
ADA = Author("Ada", "errors", "terminal ada@desk, process 1")


def make_move(action: str, version: int, previous: int, minutes: int = 0) -> TimelineEntry:
    return TimelineEntry(
        SERVICE,
        datetime.now(UTC) + timedelta(minutes=minutes),
        action,
        version,
        *("Ada", "errors", "a terminal", f"v{version} is champion"),
        previous=previous,
    )


def serve(control: Control, *versions: int) -> Route:
    """Let versions serve one after the other; return the route of the last."""
    for version in versions:
        route = control.routes.follow_champion(SERVICE, version)
    return route


def test_each_way_of_acting_is_one_entry_with_who_why_and_from_where(control: Control) -> None:
    rollout = StoredRollout(control, SERVICE, opened=NOW)
    rollout.tick()
    control.commands.give(SERVICE, "roll-back", "Ada", "slow", NOW, "status page")
    rollout.answer()
    rollout.tick_to(Phase.ROLLED_BACK)
    asked = control.approvals.request(SERVICE, 3, "ab", NOW + timedelta(days=1))
    answer = ApprovalAnswer.APPROVED
    control.approvals.decide(asked, answer, "Bea", "figures hold", NOW, "Prefect, approve run x")
    control.commands.record(SERVICE, "adopt", "the registry", "moved", "v1", NOW, "keeper")
    control.timeline.append(
        TimelineEntry(SERVICE, NOW, "promote", 3, "Cy", "urgent", "a terminal", "v3 is champion")
    )
    serve(control, 1)
    route = control.routes.find(SERVICE)
    assert route is not None
    control.moves.make(make_move(RESTORE, 3, 1), route)
    found = {item.action: item for item in control.timeline.list_entries(SERVICE)}
    assert {
        name: (item.version, item.by, item.reason, item.origin) for name, item in found.items()
    } == {
        "rollout-opened": (2, "", "", ""),
        "roll-back": (None, "Ada", "slow", "status page"),
        "rollout-ended": (2, "", "roll-back (Ada: slow)", ""),
        "approved": (3, "Bea", "figures hold", "Prefect, approve run x"),
        "adopt": (None, "the registry", "moved", "keeper"),
        "promote": (3, "Cy", "urgent", "a terminal"),
        "restore": (3, "Ada", "errors", "a terminal"),
        "route": (1, "", "", ""),
    }
    assert found["roll-back"].message == "rollout 1: obeyed"
    json.dumps([item.to_dict() for item in found.values()])


def test_entries_are_newest_first_and_of_one_service(control: Control) -> None:
    for minutes in (2, 1, 3):
        at = NOW + timedelta(minutes=minutes)
        control.timeline.append(TimelineEntry(SERVICE, at, "release", minutes))
    control.timeline.append(TimelineEntry("other", NOW, "release", 9))
    assert [item.version for item in control.timeline.list_entries(SERVICE)] == [3, 2, 1]
    assert [item.version for item in control.timeline.list_entries(SERVICE, 1)] == [3]


def test_a_repeated_call_of_one_run_is_one_entry(control: Control) -> None:
    entry = TimelineEntry(SERVICE, NOW, "release", 3, origin="run 1")
    first = control.timeline.append(entry, once=True)
    assert control.timeline.append(entry, once=True) == first
    assert len(control.timeline.list_entries(SERVICE)) == 1


@pytest.mark.parametrize("change", ["UPDATE timeline SET reason = ''", "DELETE FROM timeline"])
def test_nobody_changes_an_entry(control: Control, store: Home, change: str) -> None:
    control.timeline.append(TimelineEntry(SERVICE, NOW, "release", 3))
    database = Database(store.control_url)
    with pytest.raises(DatabaseError, match="only appended"), database.engine.begin() as connection:
        connection.execute(text(change))
    assert len(control.timeline.list_entries(SERVICE)) == 1


def test_every_change_of_who_serves_is_on_record_and_names_the_one_before(
    control: Control,
) -> None:
    assert control.moves.find_previous(SERVICE) is None
    serve(control, 1)
    assert control.moves.find_previous(SERVICE) == NONE
    serve(control, 2, 2)
    assert control.moves.find_previous(SERVICE) == 1
    said = [item.message for item in control.timeline.list_entries(SERVICE)]
    assert said == ["v2 serves instead of v1", "v1 serves"]


def list_served(control: Control) -> list[int | None]:
    return [item.version for item in control.timeline.list_served(SERVICE)]


def test_each_change_of_champion_is_on_record_once_with_its_time(control: Control) -> None:
    before = datetime.now(UTC)
    first = control.routes.follow_champion(SERVICE, 1)
    control.routes.follow_champion(SERVICE, 1)
    control.routes.renew(first)
    second = control.routes.swap(first, replace(first, champion=2))
    route = control.routes.swap(second, replace(second, arm_timeout_ms=5.0))
    assert list_served(control) == [1, 2]
    since = control.timeline.find_since(route)
    assert since is not None
    assert before <= since <= datetime.now(UTC)
    control.moves.make(make_move(RESTORE, 2, 1, minutes=5), route)
    assert control.timeline.find_since(route) == since, "it served already"


def test_a_rollout_notes_its_promotion_and_its_roll_back(control: Control) -> None:
    stored = StoredRollout(control, SERVICE)
    stored.tick_to(Phase.CANARY)
    stored.command(Action.PROMOTE, "Ada", "a test")
    stored.command(Action.ROLL_BACK, "Ada", "a test")
    assert list_served(control) == [1, 2, 1]


def test_an_older_store_keeps_its_routes_and_does_not_know_since_when(store: Home) -> None:
    database = Database(store.control_url)
    migrate(database, tuple(step for step in MIGRATIONS if step.number < STEP))
    control = open_control(store)
    values = "'town', 3, 0, '[]', 1, '', 'unit', 'champion', 1000, 8, 7, 15, 0"
    names = (
        "service, champion, weight, stage_weights, shadow_share, salt, assign_by, mode, "
        "arm_timeout_ms, candidate_concurrency, epoch, ttl, renewal"
    )
    with database.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO routes ({names}) VALUES ({values})"))
    assert control.prepare() == [step.number for step in MIGRATIONS if step.number >= STEP]
    route = control.routes.find(SERVICE)
    assert route == Route(SERVICE, 3, epoch=7)
    assert control.timeline.find_since(route) is None
    assert not control.timeline.has_served(SERVICE, 3)
    control.routes.follow_champion(SERVICE, 4)
    assert list_served(control) == [4]
    assert control.moves.find_previous(SERVICE) == 3


def test_a_candidate_that_was_rolled_back_is_no_previous_version(control: Control) -> None:
    rollout = StoredRollout(control, SERVICE)
    rollout.tick()
    rollout.command(Action.PROMOTE, "Ada", "sure")
    assert control.moves.find_previous(SERVICE) == 1
    rollout.command(Action.ROLL_BACK, "Ada", "wrong")
    assert control.moves.find_previous(SERVICE) == NONE


def test_a_move_changes_route_record_and_command_together(control: Control) -> None:
    route = serve(control, 1, 2)
    moved = control.moves.make(make_move(ROLLBACK, 1, NONE), route)
    after = control.routes.find(SERVICE)
    assert after is not None
    assert (after.champion, after.epoch) == (1, route.epoch + 1)
    assert control.timeline.find_change(SERVICE) == moved
    [command] = control.commands.list_commands(SERVICE)
    assert (command.action, command.by, command.origin) == ("rollback", "Ada", "a terminal")
    rows = [item for item in control.timeline.list_entries(SERVICE) if item.action == ROLLBACK]
    assert rows == [moved], "the command is not shown a second time"


def test_a_move_from_a_route_that_has_changed_is_refused(control: Control) -> None:
    route = serve(control, 1, 2)
    serve(control, 3)
    with pytest.raises(RouteMoved, match="v2 served, now v3"):
        control.moves.make(make_move(ROLLBACK, 1, NONE), route)
    assert control.commands.list_commands(SERVICE) == []


def test_a_move_is_refused_while_a_rollout_is_under_way(control: Control) -> None:
    StoredRollout(control, SERVICE).tick()
    route = control.routes.find(SERVICE)
    assert route is not None
    with pytest.raises(RolloutRefused, match="a rollout is under way"):
        control.moves.make(make_move(RESTORE, 2, 1), route)


def test_an_older_alias_does_not_undo_a_move(control: Control) -> None:
    route = serve(control, 1, 2)
    moved = control.moves.make(make_move(ROLLBACK, 1, NONE), route)
    assert control.moves.find_unsettled(SERVICE) == moved
    assert serve(control, 2).champion == 1, "the alias champion still names v2"
    control.moves.settle(moved)
    assert control.moves.find_unsettled(SERVICE) is None
    assert serve(control, 2).champion == 2


def test_a_later_move_of_the_route_replaces_one_that_was_not_followed(control: Control) -> None:
    route = serve(control, 1, 2)
    control.moves.make(make_move(ROLLBACK, 1, NONE), route)
    rollout = StoredRollout(control, SERVICE, (1, 3))
    rollout.tick()
    rollout.command(Action.PROMOTE, "Ada", "sure")
    rollout.tick_to(Phase.DONE)
    assert control.moves.find_unsettled(SERVICE) is None
    assert serve(control, 4).champion == 4


def test_prefect_is_told_of_each_move_once(control: Control) -> None:
    route = serve(control, 1, 2)
    first = control.moves.make(make_move(ROLLBACK, 1, NONE), route)
    route = control.routes.find(SERVICE) or route
    second = control.moves.make(make_move(RESTORE, 2, 1, 1), route)
    assert control.moves.list_untold(SERVICE) == [first, second]
    control.moves.mark_told(first)
    assert control.moves.list_untold(SERVICE) == [second]
    control.moves.mark_told(second)
    control.moves.mark_told(first)
    assert control.moves.list_untold(SERVICE) == []


class NoRegistry:
    """Fails on any use, as a rollback of a version that the store knows asks no registry."""

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"the registry was asked: {name}")


def test_a_rollback_asks_the_store_alone_and_goes_back_once(control: Control) -> None:
    serve(control, 1, 2)
    moved = roll_back_champion(control, NoRegistry(), SERVICE, ADA)  # type: ignore[arg-type]
    assert (moved.version, moved.action) == (1, ROLLBACK)
    same = roll_back_champion(control, NoRegistry(), SERVICE, ADA)  # type: ignore[arg-type]
    assert same == moved, "the same call again, after a lost reply"
    other = Author("Ada", "errors", "terminal ada@desk, process 2")
    with pytest.raises(RolloutRefused, match="no previous version; next: `sluice restore"):
        roll_back_champion(control, NoRegistry(), SERVICE, other)  # type: ignore[arg-type]


def test_a_store_of_an_earlier_version_shows_what_it_recorded(store: Home) -> None:
    database = Database(store.control_url)
    migrate(database, tuple(step for step in MIGRATIONS if step.number < STEP))
    at = "2026-01-02T03:04:05.000006+00:00"
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO commands (service, number, action, given_by, reason, at, answer, "
                "message) VALUES ('town', 0, 'restore', 'Ada', 'old', :at, 'obey', "
                "'v3 is champion')"
            ),
            {"at": at},
        )
    control = open_control(store)
    control.prepare()
    [entry] = control.timeline.list_entries(SERVICE)
    assert (entry.action, entry.by, entry.reason, entry.message, entry.origin) == (
        *("restore", "Ada", "old", "v3 is champion", ""),
    )
    assert control.moves.find_previous(SERVICE) is None
