"""Who served since when is in the store, whatever moved the route; exceptions stay for good."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from sluice.adapters.control.database import Database
from sluice.adapters.control.migrations import MIGRATIONS, migrate
from sluice.adapters.control.store import Control, open_control
from sluice.control.route import Route
from sluice.errors import CommandRefused, SluiceError
from sluice.home import Home
from sluice.rollout.state import Action, Phase
from support.rollouts.store import StoredRollout

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STEP = 8
"""The step that creates both tables."""


def served(control: Control) -> list[tuple[int, int]]:
    return [(item.version, item.epoch) for item in control.routes.list_champions("town")]


def test_each_change_of_champion_is_noted_once(control: Control) -> None:
    before = datetime.now(UTC)
    first = control.routes.follow_champion("town", 1)
    control.routes.follow_champion("town", 1)
    control.routes.renew(first)
    second = control.routes.swap(first, replace(first, champion=2))
    control.routes.swap(second, replace(second, arm_timeout_ms=5.0))
    assert served(control) == [(1, 1), (2, 2)]
    last = control.routes.list_champions("town")[-1]
    assert last.since is not None
    assert before <= last.since <= datetime.now(UTC)


def test_a_rollout_notes_its_promotion_and_its_roll_back(control: Control) -> None:
    stored = StoredRollout(control, "town")
    stored.tick_to(Phase.CANARY)
    stored.command(Action.PROMOTE, "Ada", "a test")
    stored.command(Action.ROLL_BACK, "Ada", "a test")
    assert [version for version, _ in served(control)] == [1, 2, 1]


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
    assert control.routes.find("town") == Route("town", 3, epoch=7)
    [known] = control.routes.list_champions("town")
    assert (known.version, known.epoch, known.since) == (3, 7, None)


def test_an_exception_is_recorded_with_who_and_why(control: Control) -> None:
    control.admissions.make_exception("town", 3, " Ada ", "an outage", NOW)
    [made] = control.admissions.list_exceptions("town")
    assert (made.version, made.by, made.reason, made.at) == (3, "Ada", "an outage", NOW)
    assert control.admissions.judge("town", 3, {}).ground == "an exception by Ada: an outage"
    assert control.admissions.judge("town", 2, {}).objection


@pytest.mark.parametrize(("by", "reason"), [("", "an outage"), ("Ada", " ")])
def test_an_exception_needs_a_name_and_a_reason(control: Control, by: str, reason: str) -> None:
    with pytest.raises(CommandRefused, match="needed: a name and a reason"):
        control.admissions.make_exception("town", 3, by, reason, NOW)
    assert control.admissions.list_exceptions("town") == []


@pytest.mark.parametrize("table", ["champions", "gate_exceptions"])
@pytest.mark.parametrize("change", ["UPDATE {} SET version = 9", "DELETE FROM {}"])
def test_nobody_changes_these_records(
    store: Home, control: Control, table: str, change: str
) -> None:
    control.routes.follow_champion("town", 1)
    control.admissions.make_exception("town", 3, "Ada", "an outage", NOW)
    engine = Database(store.control_url).engine
    with (
        pytest.raises((SQLAlchemyError, SluiceError), match="only appended"),
        engine.begin() as connection,
    ):
        connection.execute(text(change.format(table)))
