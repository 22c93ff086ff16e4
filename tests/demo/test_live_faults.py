"""Faulty candidates behind a real gateway: their failures are counted, callers get no error."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.processes import Server
from benchmarks.harness.served import SERVICE, Served, prepare_home
from benchmarks.serving import run_gateway
from demo.caller import FeedbackPlan
from demo.faulty import FAULT_TAG, KINDS, FaultKind, ModelFault, register_faulty
from demo.replay import Replay, ReplayPlan
from demo.tally import ReplayTally
from sluice.control.route import Route
from sluice.errors import DataMissing, Refused
from sluice.home import find_home
from sluice.rollout.collection import build_readings
from sluice.rollout.facts import Arm
from sluice.rollout.latency import bucket_of

pytestmark = [pytest.mark.slow, pytest.mark.faults]
PATIENCE = 120.0
SHARE, LONGER, LIMIT = 0.3, 60.0, 400.0
RATE, SECONDS = 40.0, 4.0
VERSIONS = {kind: place for place, kind in enumerate(KINDS, 2)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A champion, and a version with each fault beside it, in a real registry."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(folder / "home"))
        patch.delenv("SLUICE_CONTROL_URL", raising=False)
        served = prepare_home(find_home())
        served.register(folder)
        for kind in KINDS:
            fault = ModelFault(kind, SHARE, seed=5, milliseconds=LONGER)
            version = register_faulty(served.registry, served.config, served.rows, fault)
            assert version.version == VERSIONS[kind]
        yield served


@pytest.fixture(scope="module")
def gateway(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A replica with one worker, which serves the champion."""
    served.set_route(SERVICE, 1)
    with run_gateway(tmp_path_factory.mktemp("gateway"), workers=1) as server:
        yield server


def replay(served: Served, gateway: Server, **facts: Any) -> ReplayTally:
    plan = ReplayPlan(
        f"http://127.0.0.1:{gateway.port}",
        SERVICE,
        RATE,
        SECONDS,
        feedback=FeedbackPlan(delay=0.2),
        **facts,
    )

    async def run() -> ReplayTally:
        return await Replay(plan, served.held).run()

    return asyncio.run(run())


def scrape(gateway: Server, epoch: int) -> dict[str, Arm]:
    """Return both arms' counts under an epoch."""
    runs = json.loads(gateway.ask("/v1/counters")[1])["worker_runs"]
    (reading,) = build_readings(runs, SERVICE, epoch).values()
    return {"candidate": reading.candidate, "champion": reading.champion}


def try_candidate(
    served: Served, gateway: Server, kind: FaultKind, mode: str
) -> tuple[ReplayTally, Any]:
    """Route to a faulty candidate, replay, and return the callers' and the gateway's counts."""
    facts: dict[str, Any] = {"weight": 0.5} if mode == "canary" else {}
    route: Route = served.set_route(
        SERVICE, 1, candidate=VERSIONS[kind], mode=mode, arm_timeout_ms=LIMIT, **facts
    )
    with served.renew(route):
        await_route(gateway, route)
        tally = replay(served, gateway, seed=VERSIONS[kind])
    return tally, scrape(gateway, route.epoch)


def await_route(gateway: Server, route: Route) -> None:
    """Wait until the gateway follows a route, its candidate included."""
    wanted = (route.epoch, route.champion, route.candidate)
    deadline = time.monotonic() + PATIENCE
    while True:
        entry = json.loads(gateway.ask("/readyz")[1])["services"].get(SERVICE, {})
        if (entry.get("epoch"), entry.get("champion"), entry.get("candidate")) == wanted:
            return
        assert time.monotonic() < deadline, (entry, gateway.log.read_text()[-3000:])
        time.sleep(0.1)


@pytest.mark.parametrize("kind", ["errors", "nan"])
def test_failing_candidate_is_counted_and_its_callers_get_the_champions_answer(
    served: Served, gateway: Server, kind: FaultKind
) -> None:
    tally, arms = try_candidate(served, gateway, kind, "canary")
    assert not tally.errors, tally.conclude()
    assert tally.answered == tally.sent == RATE * SECONDS
    assert arms["candidate"].failures > 3
    assert arms["champion"].failures == 0
    assert tally.answers["candidate", 1].times  # by the champion, in its place


def test_slow_candidate_is_seen_in_its_histogram_alone(served: Served, gateway: Server) -> None:
    tally, arms = try_candidate(served, gateway, "latency", "canary")
    assert not tally.errors, tally.conclude()
    slow = {name: count_slow(arm) for name, arm in arms.items()}
    assert slow["candidate"] > 3
    assert slow["champion"] == 0


def test_flipped_answers_are_seen_in_shadow_while_callers_get_the_champions(
    served: Served, gateway: Server
) -> None:
    tally, arms = try_candidate(served, gateway, "flipped", "shadow")
    assert not tally.errors, tally.conclude()
    assert set(tally.answers) == {("champion", 1)}
    candidate = arms["candidate"]
    assert candidate.compared > 50
    assert 0.1 < candidate.differing / candidate.compared < 0.5
    assert candidate.failures == 0


def test_labels_reach_the_gateway_as_feedback(served: Served, gateway: Server) -> None:
    route = served.set_route(SERVICE, 1)
    await_route(gateway, route)
    tally = replay(served, gateway, seed=99)
    assert (tally.feedback_sent, tally.feedback_lost) == (tally.answered, 0)
    right = sum(item.right for item in tally.answers.values())
    champion = scrape(gateway, route.epoch)["champion"]
    assert champion.feedbacks == tally.feedback_sent
    assert champion.negatives == tally.feedback_sent - right


def test_faulty_version_is_a_candidate_with_the_fault_in_its_tags(served: Served) -> None:
    version = served.registry.find_alias(SERVICE, "candidate")
    assert version is not None
    assert version.tags[FAULT_TAG] == KINDS[-1]
    assert json.loads(served.registry.read_text(version.run_id, "fault.json"))["share"] == SHARE


def test_without_a_champion_there_is_nothing_to_plant_a_fault_in(served: Served) -> None:
    config = served.config.model_copy(update={"service": "nobody"})
    with pytest.raises(DataMissing, match="nobody has no champion; next: release it first"):
        register_faulty(served.registry, config, served.rows, ModelFault("nan"))


def test_champion_without_a_graph_is_refused(served: Served, tmp_path: Path) -> None:
    served.register(tmp_path, "trained", "sklearn")
    config = served.config.model_copy(update={"service": "trained"})
    with pytest.raises(Refused, match="trained/1 has no ONNX graph"):
        register_faulty(served.registry, config, served.rows, ModelFault("nan"))


def test_replay_from_the_command_line_ends_with_a_table(
    served: Served, gateway: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    from demo.replay import main

    served.set_route(SERVICE, 1)
    url = f"--url=http://127.0.0.1:{gateway.port}"
    assert main([SERVICE, url, "--rps=20", "--seconds=2", "--users=10", "--delay=0"]) == 0
    output = capsys.readouterr().out
    assert "sent 40, answered 40; errors none" in output
    assert "feedback on 40 answers" in output
    assert "champion" in output


def test_hanging_candidate_costs_its_callers_no_more_than_its_time_limit(
    served: Served, gateway: Server
) -> None:
    tally, arms = try_candidate(served, gateway, "hang", "canary")
    assert not tally.errors, tally.conclude()
    assert tally.answered == tally.sent
    assert arms["candidate"].failures > 0
    assert arms["champion"].failures == 0
    slowest = max(time for item in tally.answers.values() for time in item.times)
    assert slowest < 10 * LIMIT  # a loaded computer adds the rest


def test_replay_says_what_to_do_where_no_gateway_is(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    from demo.replay import main

    assert main([SERVICE, "--url=http://127.0.0.1:1", "--rps=5", "--seconds=1"]) == 3
    output = capsys.readouterr().out
    assert "errors ClientConnectorError: 5" in output
    assert "next: `sluice serve`" in output


def count_slow(arm: Arm) -> float:
    least = bucket_of(LONGER / 2)
    return sum(count for bucket, count in arm.latencies.items() if bucket >= least)
