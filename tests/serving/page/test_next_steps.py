"""The page says what a person can do about a rollout that stands still, with the command."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serving.page.figures import view_rollout
from serving.page.panels import render_next
from serving.page.view import LogSummary
from sluice.adapters.control.store import Control, prepare_control
from sluice.home import Home
from sluice.report.next_steps import advise
from sluice.rollout.state import Action, Phase
from support.rollouts.counts import LAPTOP
from support.rollouts.page import run_page
from support.rollouts.store import StoredRollout

STOPPED = (Phase.HOLDING, Phase.PAUSED, Phase.FROZEN, Phase.ROLLED_BACK, Phase.ABORTED)
PATIENT = LAPTOP.model_copy(
    update={
        "stages": tuple(stage.model_copy(update={"max": stage.min * 2}) for stage in LAPTOP.stages)
    }
)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Control:
    """Rollouts that are paused, rolled back, at their maximum, and under way."""
    control = prepare_control(Home(Path(tmp_path_factory.mktemp("next"))))
    paused = StoredRollout(control, "paused")
    paused.tick_to(Phase.SHADOW)
    paused.command(Action.PAUSE, "Ada", "a launch")
    back = StoredRollout(control, "back")
    back.tick_to(Phase.SHADOW)
    back.tick_to(Phase.ROLLED_BACK, candidate=0.3)
    back.end()
    late = StoredRollout(control, "late", policy=PATIENT)
    late.tick(PATIENT.count_blocks(PATIENT.stages[0].max) + 3, smoke=False)
    StoredRollout(control, "moving").tick_to(Phase.CANARY)
    return control


@pytest.fixture(scope="module")
def page(control: Control) -> Iterator[httpx.Client]:
    with run_page(control) as client:
        yield client


@pytest.mark.parametrize(
    ("service", "said", "command"),
    [
        ("paused", "Next: ", "sluice rollout-control paused resume --by NAME --reason WORDS"),
        ("back", "Next: ", "sluice release back"),
        (
            "late",
            "Next: a person has to decide: ",
            "sluice rollout-control late skip --by NAME --reason WORDS",
        ),
    ],
)
def test_a_rollout_that_stands_still_says_what_to_do(
    page: httpx.Client, control: Control, service: str, said: str, command: str
) -> None:
    text = page.get(f"/services/{service}").text
    assert f"<code>{command}</code>" in text
    assert said in re.sub(r"<[^>]+>", "", text)
    found = page.get(f"/v1/rollouts/{service}").json()["data"]["rollout"]
    record = control.rollouts.find(service, found["summary"]["number"])
    assert record is not None
    assert found["next_step"] == advise(record)


def test_the_list_of_services_has_what_waits_for_a_person(page: httpx.Client) -> None:
    rows = {row["service"]: row for row in page.get("/v1/rollouts").json()["data"]["services"]}
    waiting = {name for name, row in rows.items() if row["next_step"]}
    assert waiting == {"paused", "late"}
    assert page.get("/").text.count('class="next urgent"') == len(waiting)


def test_a_rollout_that_moves_asks_for_nothing(page: httpx.Client) -> None:
    assert 'class="next' not in page.get("/services/moving").text


@pytest.mark.parametrize("phase", list(Phase))
def test_each_phase_shows_what_the_pages_of_prefect_say(control: Control, phase: Phase) -> None:
    summary = control.rollouts.list_summaries()[0]
    record = control.rollouts.find(summary.service, summary.number)
    assert record is not None
    record = replace(record, state=replace(record.state, phase=phase))
    view = view_rollout(summary, record, LogSummary(record.policy))
    assert view.next_step == advise(record)
    assert bool(view.next_step) == (phase in STOPPED)


def test_what_a_person_wrote_does_not_become_markup() -> None:
    assert "<script>" not in str(render_next("`a` <script> `b`", is_urgent=False))
