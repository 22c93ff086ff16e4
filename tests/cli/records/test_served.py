"""The history of production in the terminal: a table, JSON, and what is not on record."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.records.served import show_served
from cli.show import say_reproduced
from sluice.adapters.control.store import Control, prepare_control
from sluice.control.timeline import REPRODUCE, RESTORE, TimelineEntry
from sluice.errors import ServiceUnknown
from sluice.home import Home
from support.rollouts.store import StoredRollout

SERVICE = "employment"


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    return prepare_control(Home(tmp_path))


def make_entry(action: str, version: int, message: str = "") -> TimelineEntry:
    who = ("Ada", "it is slow", "a terminal")
    return TimelineEntry(
        SERVICE, datetime.now(UTC), action, version, *who, message, 2 if action == RESTORE else None
    )


def test_nothing_served_is_said(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    show_served(SERVICE, as_json=False)
    assert capsys.readouterr().out == "employment: nothing has served yet\n"
    show_served(SERVICE, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_the_table_and_json_have_who_served_and_why(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    StoredRollout(control, SERVICE)
    route = control.routes.follow_champion(SERVICE, 1)
    assert route.champion == 1
    show_served(SERVICE, as_json=False)
    shown = capsys.readouterr().out
    assert "What served: employment, newest first" in shown
    assert "on trial" in shown
    show_served(SERVICE, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert {(item["version"], item["role"]) for item in found} == {
        (1, "champion"),
        (2, "candidate"),
    }
    assert all(item["until"] is None for item in found)


def test_a_person_is_named(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    route = control.routes.follow_champion(SERVICE, 2)
    control.moves.make(make_entry(RESTORE, 1), route)
    show_served(SERVICE, as_json=True)
    newest = json.loads(capsys.readouterr().out)[0]
    assert (newest["version"], newest["cause"], newest["by"]) == (1, "restored", "Ada")
    assert newest["replaced"] == 2


def test_prompts_have_a_history_too_and_strangers_none(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    control.routes.follow_champion("classify", 1, "prompt")
    show_served("classify", as_json=False)
    assert "first release" in capsys.readouterr().out
    with pytest.raises(ServiceUnknown, match="no service or prompt 'nobody'"):
        show_served("nobody", as_json=False)


def test_the_last_reproduction_of_the_version_that_serves_is_shown(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    say_reproduced(control, SERVICE, 1)
    assert capsys.readouterr().out == ""
    for message in ("v1: identical: 9 held-out rows", "v1: identical: 10 held-out rows"):
        control.timeline.append(make_entry(REPRODUCE, 1, message))
    say_reproduced(control, SERVICE, 1)
    shown = capsys.readouterr().out
    assert shown.startswith("reproduced 20")
    assert shown.endswith(": v1: identical: 10 held-out rows\n")
