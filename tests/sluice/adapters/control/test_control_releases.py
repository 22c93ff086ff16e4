"""Releases in the control store, on each kind of database."""

from datetime import UTC, datetime, timedelta

from sluice.adapters.control.store import Control
from sluice.control.release import (
    HALTED,
    INTERRUPTED,
    REGISTERED,
    RUNNING,
    GateResult,
    ReleaseRecord,
)

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
DATA = GateResult("data", "pass", "47 rules hold")
WORSE = GateResult("evaluation", "fail", "auc .812 against <.835>")


def make(run: str, service: str = "town", minutes: int = 0) -> ReleaseRecord:
    started = AT + timedelta(minutes=minutes)
    return ReleaseRecord(service, run, "7", f"flow-{run}", 3, "data.changed", started)


def test_a_release_is_opened_judged_and_closed(control: Control) -> None:
    control.releases.open(make("a"))
    assert control.releases.list_last("town", 5) == [make("a")]
    control.releases.add_gate("town", "a", DATA)
    control.releases.add_gate("town", "a", WORSE)
    control.releases.close("town", "a", HALTED, AT, message="CandidateWorse: .812; next: add rows")
    (found,) = control.releases.list_last("town", 5)
    assert (found.outcome, found.ended, found.version) == (HALTED, AT, None)
    assert found.gates == (DATA, WORSE)
    assert (found.stopped_by, found.advice) == ("evaluation", "add rows")


def test_a_repeated_call_changes_nothing(control: Control) -> None:
    for _ in range(2):
        control.releases.open(make("a"))
        control.releases.add_gate("town", "a", DATA)
    control.releases.close("town", "a", REGISTERED, AT, 4)
    control.releases.close("town", "a", HALTED, AT + timedelta(hours=1))
    (found,) = control.releases.list_last("town", 5)
    assert (found.outcome, found.version, found.gates) == (REGISTERED, 4, (DATA,))


def test_the_next_release_ends_one_whose_process_was_killed(control: Control) -> None:
    control.releases.open(make("a"))
    control.releases.open(make("b", service="other"))
    control.releases.open(make("c", minutes=5))
    newest, killed = control.releases.list_last("town", 5)
    assert (newest.outcome, killed.outcome) == (RUNNING, INTERRUPTED)
    assert killed.ended == newest.started
    assert control.releases.list_last("other", 5)[0].outcome == RUNNING


def test_the_newest_of_each_service_is_found(control: Control) -> None:
    for run in ("a", "b", "c"):
        control.releases.open(make(run))
    control.releases.open(make("a", service="other"))
    newest = control.releases.list_newest()
    assert {name: item.registry_run for name, item in newest.items()} == {"town": "c", "other": "a"}
    assert [item.registry_run for item in control.releases.list_last("town", 2)] == ["c", "b"]


def test_a_gate_of_an_unknown_release_is_left_out(control: Control) -> None:
    control.releases.add_gate("town", "unknown", DATA)
    assert control.releases.list_last("town", 5) == []
