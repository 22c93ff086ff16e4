"""A rollout on a worker while worker, controller or Prefect's server are killed, under load."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway.callers import Load, run_load
from support.gateway.models import write_towns
from support.gateway.site import Running, Site, read_answers, run_gateway, wait_until
from support.releases.runs import write_rollout
from support.rollouts.live import TOWNS, Live, route_config, run_live
from support.servers.outages import Stack, find_flow_process, run_stack, start_server
from support.servers.stack import await_final, run_worker

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SERVICE = "employment"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("outage"))
    site.serve(SERVICE, write_towns(tmp_path_factory.mktemp("towns")).folder)
    return site


@pytest.fixture(scope="module")
def stack(site: Site) -> Iterator[Stack]:
    with run_stack(site.home.root, ("rollout", "keeper")) as stack:
        write_rollout(site.home.root / "configs", SERVICE, route=route_config().model_dump())
        yield stack


@pytest.fixture(scope="module")
def live(site: Site, stack: Stack) -> Iterator[Live]:
    with run_live(site.home.root, SERVICE, TOWNS) as live:
        yield live


@pytest.fixture(scope="module")
def gateway(site: Site, live: Live) -> Iterator[Running]:
    with run_gateway(site) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_GATEWAY_URLS", running.address)
        yield running


@pytest.fixture
def load(gateway: Running, live: Live) -> Iterator[Load]:
    """Callers during the whole test: none of them gets an error, and each answer is logged."""
    live.reset()
    with run_load([gateway.port], SERVICE, callers=2, pause=0.05) as load:
        yield load
    assert load.statuses == {200}
    assert (load.broken, load.refused) == (0, 0)
    wait_until(lambda: load.ids <= {item.request_id for item in read_answers(*place_of(gateway))})
    ids = [item.request_id for item in read_answers(*place_of(gateway))]
    assert len(ids) == len(set(ids))


def place_of(gateway: Running) -> tuple[Path, str]:
    return gateway.folder, SERVICE


def begin(stack: Stack, live: Live) -> Any:
    """Let the worker start a rollout, and wait until it waits for a person's approval."""
    run = stack.create_run("rollout", service=SERVICE, policy=live.policy)
    live.await_rollout(lambda rollout: "approval" in rollout.state.reason)
    return run


@pytest.mark.parametrize("down", [10.0, 120.0])
def test_a_rollout_goes_on_while_the_server_is_down(
    stack: Stack, live: Live, load: Load, tmp_path: Path, down: float
) -> None:
    with run_worker(tmp_path / "worker.log"):
        run = begin(stack, live)
        stack.kill_server()
        first = live.await_ticks(1)
        time.sleep(down)
        last = live.await_rollout(lambda _: True)
        assert last.tick - first.tick >= down / last.policy.block / 4
        start_server(stack.home, stack.port)
        live.give("approve")
        state = await_final(run, 180)
    assert state.name == "Completed", state.message
    assert live.aliases() == {"champion": 2, "previous": 1}
    live.check_log()


def test_a_rollout_outlives_its_worker(
    stack: Stack, live: Live, load: Load, tmp_path: Path
) -> None:
    with run_worker(tmp_path / "worker.log") as worker:
        run = begin(stack, live)
        worker.kill()
        worker.wait()
        live.await_ticks(8)
        live.give("approve")
        state = await_final(run)
        wait_until(lambda: not find_flow_process(str(run.id)))
    assert state.name == "Completed", state.message
    assert live.aliases() == {"champion": 2, "previous": 1}
    live.check_log()


def test_the_keeper_continues_a_killed_controllers_rollout(
    stack: Stack, live: Live, load: Load, tmp_path: Path
) -> None:
    with run_worker(tmp_path / "worker.log"):
        run = begin(stack, live)
        os.kill(find_flow_process(str(run.id)), signal.SIGKILL)
        left = live.await_rollout(lambda _: True)
        wait_until(lambda: {item.body["arm"] for item in load.replies[-20:]} == {"none"})
        assert {item.body["version"] for item in load.replies[-20:]} == {1}
        kept = stack.create_run("keeper", service=SERVICE)
        assert await_final(kept).message == "employment: a controller for v2 was started"
        live.await_rollout(lambda rollout: rollout.tick > left.tick)
        live.give("approve")
        number = left.number
        wait_until(lambda: live.control.rollouts.find(SERVICE, number).settled)  # type: ignore[union-attr]
    assert live.aliases() == {"champion": 2, "previous": 1}
    assert len(live.check_log(number)) > left.tick
