"""The live part of the story, played on a free home: gateway, callers, rollout, account."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.served import SERVICE, Served, prepare_home
from demo.watch import derive_again
from sluice.adapters.server.process_tree import find_related
from sluice.home import find_home
from sluice.rollout.log import LogBroken
from sluice.rollout.state import Phase
from support.releases.runs import latest_run

pytestmark = pytest.mark.slow
RATE = 80.0


@pytest.fixture(scope="module")
def story(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Roll out a candidate that fails on some rows; give how it ended and what was said."""
    from demo import live

    folder: Path = tmp_path_factory.mktemp("story")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(folder / "home"))
        patch.delenv("SLUICE_CONTROL_URL", raising=False)
        patch.setattr(live, "RPS", RATE)
        for module in ("demo.live", "demo.watch", "demo.forecast", "demo.watch"):
            patch.setattr(f"{module}.say", said.append)
        served = prepare_home(find_home())
        for _ in ("champion", "candidate"):
            served.register(folder)
        served.set_route(SERVICE, 1)
        stayed: list[Any] = []
        ending = live.play_live(SERVICE, "errors", lambda: stayed.append(find_related(served.home)))
        run = latest_run("rollout")
        yield {"ending": ending, "said": said, "served": served, "stayed": stayed, "run": run}


def test_faulty_candidate_is_rolled_back_and_its_champion_serves(story: dict[str, Any]) -> None:
    served: Served = story["served"]
    assert (story["ending"].code, story["ending"].error) == (1, "RolloutRolledBack")
    assert story["run"].state.message.startswith("RolloutRolledBack: ")
    [course] = served.control.rollouts.list_rollouts(SERVICE)
    assert (course.champion, course.candidate) == (1, 3)
    assert course.state.phase is Phase.ROLLED_BACK
    route = served.control.routes.find(SERVICE)
    assert (route.champion, route.candidate) == (1, None)
    assert served.registry.find_alias(SERVICE, "candidate") is None


def test_no_caller_met_an_error(story: dict[str, Any]) -> None:
    [line] = [line for line in story["said"] if line.startswith("callers sent ")]
    assert line.endswith(" requests; errors at callers: 0")
    sent = int(line.split()[2].replace(",", ""))
    assert sent > 10 * RATE


def test_every_decision_follows_again_from_the_log(story: dict[str, Any]) -> None:
    served: Served = story["served"]
    [course] = served.control.rollouts.list_rollouts(SERVICE)
    steps = derive_again(served.control, course)
    assert steps == course.tick - 1
    assert any(f"all {steps} steps" in line for line in story["said"])


def test_log_of_another_policy_is_not_taken_for_a_proof(story: dict[str, Any]) -> None:
    from dataclasses import replace

    served: Served = story["served"]
    [course] = served.control.rollouts.list_rollouts(SERVICE)
    other = course.policy.model_copy(update={"pass_alpha": 0.01})
    with pytest.raises(LogBroken, match="of another policy"):
        derive_again(served.control, replace(course, policy=other))


def test_what_the_policy_can_tell_is_said_before_the_rollout(story: dict[str, Any]) -> None:
    said = story["said"]
    [place] = [i for i, line in enumerate(said) if "can and cannot detect" in line]
    assert place < next(i for i, line in enumerate(said) if "requests/s from now on" in line)


def test_gateway_stays_until_the_story_ends_and_nothing_after_it(story: dict[str, Any]) -> None:
    [stayed] = story["stayed"]
    assert {item.part for item in stayed} == {"gateway", "rollout page"}
    assert find_related(story["served"].home) == []
