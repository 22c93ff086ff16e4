"""`sluice up` as a real process on its own ports: ended, killed and started again."""

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.server.process import is_alive, is_free, read_record
from sluice.adapters.server.stack import PARTS
from sluice.home import SAMPLES, Home
from support.servers.stack import await_answer
from support.servers.up import (
    END_SECONDS,
    READY,
    RUN_SECONDS,
    Up,
    ask_run,
    await_state,
    end_by_force,
    find_all,
    find_part,
    state_of,
    stored_state,
)

pytestmark = [pytest.mark.slow, pytest.mark.faults]

FILE = str(SAMPLES / "acs_employment_2015.parquet")
RESTART_SECONDS = 240.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("up") / "home")


@pytest.fixture(scope="module")
def taken() -> Iterator[tuple[int, int]]:
    """Two ports that this process listens on."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        yield one.getsockname()[1], two.getsockname()[1]


@pytest.fixture(scope="module")
def up(home: Home, taken: tuple[int, int]) -> Iterator[Up]:
    started = Up(home, "--port", str(taken[0]), "--mlflow-port", str(taken[1]), "--limit", "2")
    try:
        started.await_words(READY)
        yield started
    finally:
        end_by_force(started)


def online_workers(up: Up) -> list[str]:
    wanted = {"workers": {"status": {"any_": ["ONLINE"]}}}
    _, found = up.ask("work_pools/sluice/workers/filter", wanted)
    return [item["name"] for item in found or []]


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def test_every_address_that_it_prints_answers(up: Up) -> None:
    assert answers(up.address("Prefect"))
    assert answers(f"{up.address('MLflow')}/health")
    assert answers(f"{up.address('status')}/")
    assert online_workers(up) == [up.address("worker").strip(",")]
    assert Path(up.said.split("log ")[1].splitlines()[0]).exists()


def test_the_program_on_a_preferred_port_is_named(up: Up, taken: tuple[int, int]) -> None:
    for port in taken:
        assert f"port {port} is taken by " in up.said
    assert up.said.count(f"(process {os.getpid()})") == 2


def test_every_deployment_of_the_file_is_there(up: Up) -> None:
    for name in ("release/release", "ingest/ingest", "promote/promote"):
        status, found = up.ask(f"deployments/name/{name}")
        assert (status, found["work_pool_name"]) == (200, "sluice")


def test_quiet_flows_are_looked_after_without_a_run(up: Up, home: Home) -> None:
    assert len(find_part(home, "housekeeping")) == 1
    for name in ("watch/watch", "keeper/keeper", "monitor/monitor"):
        _, found = up.ask(f"deployments/name/{name}")
        assert [item["active"] for item in found["schedules"]] == [False]
    _, runs = up.ask(
        "flow_runs/filter", {"flows": {"name": {"any_": ["watch", "keeper", "monitor"]}}}
    )
    assert runs == []


def list_parts(home: Home) -> list[str]:
    """The stack's processes, without those of scheduled runs."""
    return sorted(command for command in find_all(home) if not is_of_run(command))


def is_of_run(command: str) -> bool:
    return "prefect.runner" in command or "prefect.engine" in command or "flow-run" in command


def test_the_second_one_names_the_first_and_disturbs_nothing(up: Up, home: Home) -> None:
    before = list_parts(home)
    second = Up(home)
    assert second.await_end() == 0
    assert "is up already" in second.said
    for of in ("Prefect", "MLflow", "worker"):
        assert second.address(of) == up.address(of)
    assert list_parts(home) == before


def test_a_file_is_taken_in_by_the_worker(up: Up) -> None:
    run = ask_run(up, "ingest/ingest", service="employment", source=FILE)
    await_state(up, run, "COMPLETED", "FAILED", "CRASHED")
    assert state_of(up, run)[0] == "COMPLETED", state_of(up, run)


def test_release_outlives_its_worker_and_links_to_the_pages_that_are_up(up: Up, home: Home) -> None:
    run = ask_run(up, "release/release", service="employment")
    await_state(up, run, "RUNNING")
    first = find_part(home, "worker")
    assert len(first) == 1
    os.kill(first[0].pid, signal.SIGKILL)
    up.await_words("the worker is online again", RESTART_SECONDS)
    assert f"(process {first[0].pid}) was killed by signal 9" in up.said
    assert len(find_part(home, "worker")) == len(online_workers(up)) == 1
    await_state(up, run, "COMPLETED", "FAILED", "CRASHED")
    assert state_of(up, run)[0] == "COMPLETED", state_of(up, run)
    filters = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    _, artifacts = up.ask("artifacts/filter", filters)
    assert up.address("MLflow") in "".join(str(item["data"]) for item in artifacts)


def test_parts_and_server_that_are_killed_come_back_where_they_were(up: Up, home: Home) -> None:
    server = read_record(home)
    assert server is not None
    for part in ("pages", "gateway", "status page", "housekeeping"):
        for item in find_part(home, part):
            os.kill(item.pid, signal.SIGKILL)
    os.killpg(server.pid, signal.SIGKILL)
    up.await_words("the Prefect server ended", RESTART_SECONDS)
    places = [f"{up.api}/health", f"{up.address('MLflow')}/health"]
    places += [f"{up.address(of).strip(',')}/healthz" for of in ("gateway", "status")]
    for name in ("MLflow server", "gateway", "status page", "housekeeping"):
        up.await_words(f"the {name} (process ", RESTART_SECONDS)
    for address in places:
        assert await_answer(lambda address=address: answers(address), RESTART_SECONDS)
    assert await_answer(lambda: find_part(home, "housekeeping"), RESTART_SECONDS)
    assert up.process.poll() is None, up.said


@pytest.fixture(scope="module")
def again(up: Up, home: Home) -> Iterator[Up]:
    """The next one, after the first was killed: its parts end, its server goes on."""
    before = {item.pid for part in PARTS for item in find_part(home, part)}
    assert before
    up.kill()
    parts_end = await_answer(lambda: not any(find_part(home, part) for part in PARTS), END_SECONDS)
    assert parts_end, [item for part in PARTS for item in find_part(home, part)]
    assert is_alive(home)
    started = Up(home, "--mlflow-port", up.address("MLflow").rpartition(":")[2])
    try:
        started.await_words(READY)
        assert not before & {item.pid for item in find_part(home, "worker")}
        yield started
    finally:
        end_by_force(started)


def test_parts_of_a_killed_one_end_with_it_and_its_server_is_used(
    again: Up, up: Up, home: Home
) -> None:
    assert f"using the Prefect server at {up.address('Prefect')}" in again.said
    assert "that a killed `sluice up` left" not in again.said
    assert again.address("MLflow") == up.address("MLflow")
    assert len(find_part(home, "worker")) == 1
    assert again.address("worker").strip(",") in online_workers(again)


def test_end_in_mid_run_cancels_it_and_leaves_no_process(again: Up, home: Home) -> None:
    port = int(again.address("Prefect").rpartition(":")[2])
    run = ask_run(again, "release/release", service="employment")
    await_answer(
        lambda: "evaluat" in _logs(again, run) or "split" in _logs(again, run), RUN_SECONDS
    )
    assert state_of(again, run)[0] == "RUNNING"
    again.send(signal.SIGINT)
    assert again.await_end() == 0, again.said
    assert "cancelling flow run employment data v" in again.said
    assert again.said.splitlines()[-1] == "ended"
    assert "Traceback" not in again.said
    assert find_all(home) == []
    assert is_free(port)
    kind, message = stored_state(home, run)
    # On a machine too slow for the grace period it is killed, and that is reported.
    killed = "is closed as Crashed" in again.said
    assert kind == ("CRASHED" if killed else "CANCELLED"), (kind, message)
    assert message


def _logs(up: Up, run: str) -> str:
    filters = {"logs": {"flow_run_id": {"any_": [run]}}}
    _, found = up.ask("logs/filter", filters)
    return " ".join(item["message"] for item in found or [])
