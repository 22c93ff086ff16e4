"""A store made by earlier steps keeps its rows, and the code reads them under today's columns."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection, text

from sluice.adapters.control.database import Database
from sluice.adapters.control.migrations import MIGRATIONS, migrate
from sluice.adapters.control.store import Control, open_control
from sluice.config.policy import Policy, hash_policy, write_policy
from sluice.config.rollout import RouteConfig
from sluice.home import PROJECT, Home
from sluice.rollout.log import derive
from sluice.rollout.state import Phase

AT = "2026-01-02T03:04:05.000006+00:00"
RENAMING = 7
"""The step that renames columns."""
EARLIER = json.loads(
    (PROJECT / "tests/sluice/rollout/logs_before_renaming.json").read_text(encoding="utf-8")
)
POLICY = Policy.model_validate_json(json.dumps(EARLIER["policy"]), strict=True)


def insert(connection: Connection, table: str, **values: Any) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def insert_rows(connection: Connection) -> None:
    """Write rows as the version before the renaming wrote them."""
    request = {"service": "town", "version": 3, "verdict_digest": "ab"}
    insert(connection, "approvals", **request, deadline=AT, answer="approved")
    decision = {"answer": "approved", "decided_by": "Ada", "why": "figures hold", "at": AT}
    insert(connection, "decisions", **request, **decision)
    command = {"action": "pause", "given_by": "Ada", "why": "lunch", "at": AT}
    answer = {"answer": "obey", "words": "pause (Ada: lunch)"}
    insert(connection, "commands", service="town", number=1, **command, **answer)
    insert(connection, "watermarks", service="town", what="file /a", mark="v1", announced="")
    insert_rollout(connection)


def insert_rollout(connection: Connection) -> None:
    stored = EARLIER["state"]
    records = EARLIER["logs"][stored["log"]][: stored["tick"] + 1]
    insert(
        connection,
        "rollouts",
        service="town",
        number=1,
        champion=1,
        candidate=2,
        policy=write_policy(POLICY),
        policy_hash=hash_policy(POLICY),
        terms=RouteConfig().model_dump_json(),
        salt="salt",
        phase=stored["values"]["phase"],
        state=json.dumps(stored["values"]),
        readings="{}",
        tick=len(records),
        opened=AT,
        ended="",
        settled=0,
    )
    for tick, record in enumerate(records):
        line = {"tick": tick, "at": AT, "record": json.dumps(record)}
        insert(connection, "rollout_log", service="town", number=1, **line)


@pytest.fixture
def renamed(store: Home) -> Control:
    """A store with rows of the version before the renaming, brought up to date."""
    database = Database(store.control_url)
    earlier = tuple(step for step in MIGRATIONS if step.number < RENAMING)
    assert migrate(database, earlier) == [step.number for step in earlier]
    with database.engine.begin() as connection:
        insert_rows(connection)
    control = open_control(store)
    assert control.prepare() == [step.number for step in MIGRATIONS if step.number >= RENAMING]
    return control


def test_decisions_and_commands_keep_their_reasons_and_messages(renamed: Control) -> None:
    [decision] = renamed.approvals.list_decisions("town")
    assert (decision.by, decision.reason, decision.version) == ("Ada", "figures hold", 3)
    [command] = renamed.commands.list_commands("town")
    assert (command.by, command.reason) == ("Ada", "lunch")
    assert (command.answer, command.message) == ("obey", "pause (Ada: lunch)")


def test_watermarks_keep_their_subjects(renamed: Control) -> None:
    assert renamed.watermarks.list_marks("town") == {"file /a": "v1"}
    assert renamed.watermarks.find("town", "file /a").mark == "v1"


def test_a_rollout_that_is_under_way_is_continued(renamed: Control) -> None:
    rollout = renamed.rollouts.find_open("town")
    assert rollout is not None
    assert rollout.state.phase is Phase.HOLDING
    assert (rollout.state.missed_ticks, rollout.state.observation.blocks) == (1, 1)
    records = [record for _, record in renamed.rollouts.read_log("town", 1)]
    states = [item.state for item in derive(records, POLICY)]
    assert states[-1].phase is rollout.state.phase
