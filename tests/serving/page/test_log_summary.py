"""A condensed decision log keeps its counts, its stages and its decisions."""

from itertools import pairwise

import pytest

from serving.page.view import MAX_POINTS, LogSummary
from sluice.adapters.control.store import Control, open_control
from sluice.home import Home
from sluice.rollout.facts import read_facts
from sluice.rollout.log import LogRecord
from sluice.rollout.state import Action, Phase
from support.rollouts.counts import LAPTOP
from support.rollouts.store import StoredRollout


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Control:
    control = open_control(Home(tmp_path_factory.mktemp("logs")))
    control.prepare()
    return control


@pytest.fixture(scope="module")
def whole(control: Control) -> StoredRollout:
    """A rollout from its opening to its end."""
    rollout = StoredRollout(control, "whole")
    rollout.tick_to(Phase.CANARY)
    rollout.command(Action.SKIP, "Ada", "on")
    rollout.command(Action.SKIP, "Ada", "on")
    rollout.tick_to(Phase.DONE)
    return rollout


def summarize(control: Control, stored: StoredRollout, *chunks: int) -> LogSummary:
    """Read a log as the page does, in pieces."""
    log = LogSummary(LAPTOP)
    rollout = stored.record
    for chunk in (*chunks, 10_000):
        found = control.rollouts.read_log(rollout.service, rollout.number, log.next_tick, chunk)
        for at, record in found:
            log.add(at, record)
    return log


def read_records(control: Control, stored: StoredRollout) -> list[LogRecord]:
    rollout = stored.record
    return [record for _, record in control.rollouts.read_log(rollout.service, rollout.number)]


def test_each_stage_has_the_requests_that_its_blocks_had(
    control: Control, whole: StoredRollout
) -> None:
    log, records = summarize(control, whole), read_records(control, whole)
    expected: dict[str, list[float]] = {}
    for before, record in pairwise(records[1:]):
        facts = read_facts(record["facts"])
        if facts.candidate is None or facts.champion is None or facts.epoch != before["epoch"]:
            continue
        stage = "soak" if before["phase"] == "soak" else before["stage"]
        sums = expected.setdefault(stage, [0.0, 0.0])
        sums[0] += facts.candidate.requests
        sums[1] += facts.champion.requests
    found = {name: [arm.requests for arm in arms] for name, arms in log.counts.items()}
    assert found == expected
    assert set(found) == {"shadow", "half", "soak"}


def test_reading_in_pieces_gives_the_same_summary(control: Control, whole: StoredRollout) -> None:
    one, two = summarize(control, whole), summarize(control, whole, 1, 7, 20)
    assert one.points == two.points
    assert one.entries == two.entries
    assert one.next_tick == two.next_tick == whole.record.tick


def test_a_hold_that_repeats_itself_is_one_entry(control: Control, whole: StoredRollout) -> None:
    log, records = summarize(control, whole), read_records(control, whole)[1:]
    assert sum(entry.count for entry in log.entries) == len(records)
    verbs = [entry.verb for entry in log.entries if entry.verb != "hold"]
    assert verbs == [record["decision"] for record in records if record["decision"] != "hold"]
    first = log.entries[1]
    assert (first.verb, first.stage, first.count > 10) == ("hold", "shadow", True)
    commanded = [entry for entry in log.entries if entry.by]
    assert [(entry.by, entry.verb) for entry in commanded] == [("Ada", "obey")] * 2


def test_what_a_stage_proved_is_drawn_at_its_threshold(
    control: Control, whole: StoredRollout
) -> None:
    points = [point for point in summarize(control, whole).points if point.stage == "shadow"]
    in_favour = points[-1].tests["error_margin"][1]
    assert in_favour is not None
    assert in_favour >= 2.99


def test_the_soak_is_a_stage_of_its_own(control: Control, whole: StoredRollout) -> None:
    log = summarize(control, whole)
    assert (log.stage, log.phase) == ("soak", "done")
    assert log.stage_since is not None
    assert all(not point.tests for point in log.points if point.stage == "soak")


def test_a_long_log_is_thinned_and_loses_no_request(control: Control, whole: StoredRollout) -> None:
    log = LogSummary(LAPTOP)
    records = read_records(control, whole)
    rollout = whole.record
    at = control.rollouts.read_log(rollout.service, rollout.number)[0][0]
    for record in records[:3]:
        log.add(at, record)
    for tick in range(3 * MAX_POINTS):
        log.add(at, {**records[3], "tick": 3 + tick})
    assert len(log.points) < 2 * MAX_POINTS
    drawn = sum(point.candidate.requests for point in log.points)
    assert drawn == log.counts["shadow"][0].requests
