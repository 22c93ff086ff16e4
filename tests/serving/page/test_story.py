"""A decision log told shorter keeps its counts, its stages and what was decided."""

from itertools import pairwise

import pytest

from serving.page.view import MOST_POINTS, Story
from sluice.adapters.control.store import Control, open_control
from sluice.home import Home
from sluice.rollout.facts import read_facts
from sluice.rollout.log import Record
from sluice.rollout.state import Action, Phase
from support.rollouts.counts import LAPTOP
from support.rollouts.store import StoredRollout


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Control:
    control = open_control(Home(tmp_path_factory.mktemp("told")))
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


def tell(control: Control, rollout: StoredRollout, *chunks: int) -> Story:
    """Read a log as the page does, in pieces."""
    story = Story(LAPTOP)
    for chunk in (*chunks, 10_000):
        course = rollout.course
        found = control.rollouts.read_log(course.service, course.number, story.next_tick, chunk)
        for at, record in found:
            story.add(at, record)
    return story


def read_records(control: Control, rollout: StoredRollout) -> list[Record]:
    course = rollout.course
    return [record for _, record in control.rollouts.read_log(course.service, course.number)]


def test_each_stage_has_the_requests_that_its_blocks_had(
    control: Control, whole: StoredRollout
) -> None:
    story, records = tell(control, whole), read_records(control, whole)
    expected: dict[str, list[float]] = {}
    for before, record in pairwise(records[1:]):
        facts = read_facts(record["facts"])
        if facts.candidate is None or facts.champion is None or facts.epoch != before["epoch"]:
            continue
        stage = "soak" if before["phase"] == "soak" else before["stage"]
        sums = expected.setdefault(stage, [0.0, 0.0])
        sums[0] += facts.candidate.requests
        sums[1] += facts.champion.requests
    found = {name: [arm.requests for arm in arms] for name, arms in story.tallies.items()}
    assert found == expected
    assert set(found) == {"shadow", "half", "soak"}


def test_reading_in_pieces_tells_the_same(control: Control, whole: StoredRollout) -> None:
    one, two = tell(control, whole), tell(control, whole, 1, 7, 20)
    assert one.points == two.points
    assert one.entries == two.entries
    assert one.next_tick == two.next_tick == whole.course.tick


def test_a_hold_that_repeats_itself_is_one_entry(control: Control, whole: StoredRollout) -> None:
    story, records = tell(control, whole), read_records(control, whole)[1:]
    assert sum(entry.times for entry in story.entries) == len(records)
    verbs = [entry.verb for entry in story.entries if entry.verb != "hold"]
    assert verbs == [record["decision"] for record in records if record["decision"] != "hold"]
    first = story.entries[1]
    assert (first.verb, first.stage, first.times > 10) == ("hold", "shadow", True)
    commanded = [entry for entry in story.entries if entry.by]
    assert [(entry.by, entry.verb) for entry in commanded] == [("Ada", "obey")] * 2


def test_what_a_stage_proved_is_drawn_at_its_threshold(
    control: Control, whole: StoredRollout
) -> None:
    points = [point for point in tell(control, whole).points if point.stage == "shadow"]
    in_favour = points[-1].tests["error_margin"][1]
    assert in_favour is not None
    assert in_favour >= 2.99


def test_the_soak_is_a_stage_of_its_own(control: Control, whole: StoredRollout) -> None:
    story = tell(control, whole)
    assert (story.stage, story.phase) == ("soak", "done")
    assert story.stage_since is not None
    assert all(not point.tests for point in story.points if point.stage == "soak")


def test_a_long_log_is_thinned_and_loses_no_request(control: Control, whole: StoredRollout) -> None:
    story = Story(LAPTOP)
    records = read_records(control, whole)
    course = whole.course
    at = control.rollouts.read_log(course.service, course.number)[0][0]
    for record in records[:3]:
        story.add(at, record)
    for tick in range(3 * MOST_POINTS):
        story.add(at, {**records[3], "tick": 3 + tick})
    assert len(story.points) < 2 * MOST_POINTS
    drawn = sum(point.candidate.requests for point in story.points)
    assert drawn == story.tallies["shadow"][0].requests
