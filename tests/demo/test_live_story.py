"""The live part of the demonstration: gateway, callers, rollout, report."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.served import SERVICE, Served, prepare_home
from demo.watch import verify_log
from sluice.adapters.server.process_tree import find_related
from sluice.home import find_home
from sluice.rollout.log import LogBroken
from sluice.rollout.state import Phase
from support.releases.runs import latest_run

pytestmark = [pytest.mark.slow, pytest.mark.faults]
RATE = 80.0


@pytest.fixture(scope="module")
def story(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Roll out a candidate that fails on some rows; return its result and the output."""
    from demo import live

    folder: Path = tmp_path_factory.mktemp("story")
    output: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(folder / "home"))
        patch.delenv("SLUICE_CONTROL_URL", raising=False)
        patch.setattr(live, "RPS", RATE)
        for module in ("demo.live", "demo.watch", "demo.forecast"):
            patch.setattr(f"{module}.say", output.append)
        served = prepare_home(find_home())
        for _ in ("champion", "candidate"):
            served.register(folder)
        served.set_route(SERVICE, 1)
        stayed: list[Any] = []
        result = live.play_live(SERVICE, "errors", lambda: stayed.append(find_related(served.home)))
        run = latest_run("rollout")
        yield {"result": result, "output": output, "served": served, "stayed": stayed, "run": run}


def test_faulty_candidate_is_rolled_back_and_its_champion_serves(story: dict[str, Any]) -> None:
    served: Served = story["served"]
    assert (story["result"].code, story["result"].error) == (1, "RolloutRolledBack")
    assert story["run"].state.message.startswith("RolloutRolledBack: ")
    [record] = served.control.rollouts.list_rollouts(SERVICE)
    assert (record.champion, record.candidate) == (1, 3)
    assert record.state.phase is Phase.ROLLED_BACK
    route = served.control.routes.find(SERVICE)
    assert (route.champion, route.candidate) == (1, None)
    assert served.registry.find_alias(SERVICE, "candidate") is None


def test_no_caller_met_an_error(story: dict[str, Any]) -> None:
    [line] = [line for line in story["output"] if line.startswith("callers sent ")]
    assert line.endswith(" requests; errors at callers: 0")
    sent = int(line.split()[2].replace(",", ""))
    assert sent > 10 * RATE


def test_every_decision_follows_again_from_the_log(story: dict[str, Any]) -> None:
    served: Served = story["served"]
    [record] = served.control.rollouts.list_rollouts(SERVICE)
    steps = verify_log(served.control, record)
    assert steps == record.tick - 1
    assert any(f"all {steps} steps" in line for line in story["output"])


def test_log_of_another_policy_is_refused(story: dict[str, Any]) -> None:
    from dataclasses import replace

    served: Served = story["served"]
    [record] = served.control.rollouts.list_rollouts(SERVICE)
    other = record.policy.model_copy(update={"pass_alpha": 0.01})
    with pytest.raises(LogBroken, match="of another policy"):
        verify_log(served.control, replace(record, policy=other))


def test_forecast_is_printed_before_the_rollout(story: dict[str, Any]) -> None:
    output = story["output"]
    [place] = [i for i, line in enumerate(output) if "can and cannot detect" in line]
    assert place < next(i for i, line in enumerate(output) if "requests/s from now on" in line)


def test_gateway_stays_until_the_story_ends_and_nothing_after_it(story: dict[str, Any]) -> None:
    [stayed] = story["stayed"]
    assert {item.part for item in stayed} == {"gateway", "status page"}
    assert find_related(story["served"].home) == []
