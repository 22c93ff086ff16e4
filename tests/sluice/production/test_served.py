"""The history of production is read from the control store, however long ago it was."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.served_history import read_periods
from sluice.control.timeline import PROMOTE, RELEASE, RESTORE, ROLLBACK, ROUTE, TimelineEntry
from sluice.home import PROJECT, Home
from sluice.production.page import list_rows, write_served
from sluice.production.served import RolloutTrial, ServedPeriod, list_periods
from sluice.rollout.state import Action, Phase
from support.rollouts.store import StoredRollout

SERVICE = "town"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEPT = ("TIMELINE", "ROLLOUTS", "ROLLOUT_LOG", "COMMANDS", "DECISIONS", "RELEASES", "ROUTES")
"""Tables of the control store that the history is read from."""


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return prepare_control(Home(tmp_path))


def change(hours: float, action: str, version: int, previous: int = 0, **who: str) -> TimelineEntry:
    """Return an entry by which a version came to serve."""
    at = NOW + timedelta(hours=hours)
    return TimelineEntry(SERVICE, at, action, version, previous=previous, **who)


def told(hours: float, action: str, version: int, by: str = "", reason: str = "") -> TimelineEntry:
    """Return an entry that explains a change."""
    at = NOW + timedelta(hours=hours)
    return TimelineEntry(SERVICE, at, action, version, by, reason, "a terminal")


def trial(number: int, candidate: int, phase: Phase, weight: float = 0.25) -> RolloutTrial:
    opened = NOW + timedelta(hours=number)
    ended = opened + timedelta(hours=0.5)
    return RolloutTrial(SERVICE, number, 1, candidate, opened, ended, weight, phase, "errors")


def summarize(periods: list[ServedPeriod]) -> list[tuple[int, str, str]]:
    return [(item.version, item.cause, item.by) for item in periods]


def test_each_way_to_serve_has_its_cause_and_person() -> None:
    changes = [
        change(0, ROUTE, 1),
        change(1, ROUTE, 2, 1),
        change(2, ROLLBACK, 1, by="Bea", reason="slow"),
        change(3, RESTORE, 2, 1, by="Cy", reason="fixed"),
        change(4, ROUTE, 3, 2),
        change(5, ROUTE, 4, 3),
    ]
    entries = [
        *changes,
        told(0.01, RELEASE, 1, reason="first data"),
        told(1.01, PROMOTE, 2, "Ada", "urgent"),
        told(4, "approved", 3, "Dee", "figures hold"),
        told(4.01, RELEASE, 3, reason="data.changed"),
    ]
    found = list_periods(changes, entries, [])
    assert summarize(found) == [
        (4, "promoted", ""),
        (3, "approved", "Dee"),
        (2, "restored", "Cy"),
        (1, "rolled back", "Bea"),
        (2, "promoted", "Ada"),
        (1, "first release", ""),
    ]
    assert [item.replaced for item in found] == [3, 2, 1, 2, 1, 0]
    assert [item.until for item in found] == [None, *(item.at for item in reversed(changes[1:]))]


def test_an_entry_of_another_day_explains_nothing() -> None:
    changes = [change(0, ROUTE, 1), change(30, ROUTE, 2, 1)]
    found = list_periods(changes, [*changes, told(29, PROMOTE, 2, "Ada", "urgent")], [])
    assert summarize(found)[0] == (2, "promoted", "")


def test_a_rollout_is_one_trial_however_it_ended() -> None:
    changes = [
        change(0, ROUTE, 1),
        change(3.4, ROUTE, 4, 1, origin="rollout 3", reason="every test passed"),
    ]
    trials = [trial(2, 3, Phase.ROLLED_BACK), trial(3, 4, Phase.DONE, 1.0)]
    found = list_periods(changes, changes, trials)
    assert summarize(found) == [
        (4, "promoted by rollout 3", ""),
        (3, "rollout 2: rolled back", ""),
        (1, "first release", ""),
    ]
    assert [item.on_trial for item in found] == [False, True, False]
    assert found[0].trial == trials[1]
    assert trials[0].describe() == (
        "on trial from 2026-11-23 14:00 to 2026-11-23 14:30 at up to 25%"
    )


def test_a_real_rollout_is_compressed_to_its_largest_share(control: Control) -> None:
    rollout = StoredRollout(control, SERVICE)
    rollout.tick_to(Phase.CANARY, stage=2)
    share = rollout.record.policy.stages[2].weight
    rollout.command(Action.ROLL_BACK, "Ada", "slow")
    rollout.tick_to(Phase.ROLLED_BACK)
    serves, on_trial = sorted(read_periods(control, SERVICE), key=lambda item: item.on_trial)
    assert (on_trial.version, on_trial.on_trial, serves.version) == (2, True, 1)
    assert on_trial.trial is not None
    assert on_trial.trial.weight == share > 0
    assert on_trial.to_dict()["trial"]["ended_as"] == "rolled back"
    assert serves.until is None


def test_a_promoted_candidate_serves_from_its_rollout_on(control: Control) -> None:
    rollout = StoredRollout(control, SERVICE)
    rollout.tick_to(Phase.DONE)
    [now, before] = read_periods(control, SERVICE)
    assert (now.version, now.cause, now.replaced) == (2, "promoted by rollout 1", 1)
    assert now.trial is not None
    assert (now.trial.weight, now.trial.promoted) == (1.0, True)
    assert before.until == now.since


def test_the_history_is_there_after_years_of_housekeeping(control: Control) -> None:
    """Everything that deletes in the control store runs, years later; nothing of it is gone."""
    rollout = StoredRollout(control, SERVICE, opened=datetime(2019, 5, 1, tzinfo=UTC))
    rollout.tick_to(Phase.DONE)
    entry = change(1, RESTORE, 1, 2, by="Ada", reason="slow")
    route = control.routes.find(SERVICE)
    assert route is not None
    control.moves.make(entry, route)
    before = read_periods(control, SERVICE)
    assert len(before) == 3
    later = datetime(2036, 1, 1, tzinfo=UTC)
    control.signals.prune(later)
    control.spending.expire(later)
    control.approvals.expire(SERVICE, later)
    assert read_periods(control, SERVICE) == before


def test_no_code_deletes_what_the_history_is_read_from() -> None:
    pattern = re.compile(rf"\b(?:{'|'.join(KEPT)})\.delete\(|delete\((?:{'|'.join(KEPT)})\)")
    sql = re.compile(rf"DELETE FROM (?:{'|'.join(name.lower() for name in KEPT)})\b", re.IGNORECASE)
    files = [path for room in ("sluice", "tasks") for path in (PROJECT / room).rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    found = [path for path, text in texts.items() if pattern.search(text) or sql.search(text)]
    assert found == []


def test_the_page_and_the_rows_say_the_same() -> None:
    changes = [change(0, ROUTE, 1), change(1, ROLLBACK, 2, by="Bea", reason="a|b")]
    periods = list_periods(changes, changes, [trial(2, 3, Phase.ABORTED, 0.0)])
    rows = list_rows(periods)
    assert [row["version"] for row in rows] == ["v3", "v2", "v1"]
    assert rows[0]["why"] == "rollout 2: aborted; in shadow only; errors"
    assert rows[1]["why"] == "rolled back instead of v1; a|b"
    page = write_served(SERVICE, periods)
    assert page.startswith("# What served: town")
    assert r"a\|b" in page


def test_nothing_served_is_an_empty_history(control: Control) -> None:
    assert read_periods(control, SERVICE) == []
