import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sluice.adapters.server.api import is_healthy, is_of_home
from sluice.adapters.server.home_server import run_server, server_environment
from sluice.adapters.server.login import read_login
from sluice.adapters.server.process import (
    ServerRecord,
    is_alive,
    is_free,
    read_record,
    start_process,
    stop_process,
)
from sluice.errors import ServerUnavailable
from sluice.home import Home
from support.pace import slowed
from support.servers.images import add_server_database
from support.servers.ports import find_free_port

USER = """
import sys, time
from pathlib import Path
from sluice.adapters.server.home_server import run_server
from sluice.home import Home

def say(line):
    print(line, flush=True)

with run_server(Home(Path(sys.argv[1])), int(sys.argv[2]), report=say):
    say("ready")
    sys.stdin.read()
"""


def ignore(_line: str) -> None:
    pass


@pytest.fixture(autouse=True)
def _no_server_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "SLUICE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One state folder for all servers here, because its database takes the longest."""
    return Home(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def port() -> int:
    return find_free_port()


@contextmanager
def use_elsewhere(home: Home, port: int) -> Iterator["subprocess.Popen[str]"]:
    """Another process that uses the state folder's server until its input ends."""
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", USER, str(home.root), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def await_line(process: "subprocess.Popen[str]", start: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return line
        if line.startswith("ready"):
            break
    raise AssertionError(f"the process ended without printing '{start}'")


def find_processes(home: Home) -> list[str]:
    """Every process whose environment names the state folder, unreaped ones included."""
    marker = f"PREFECT_HOME={home.prefect}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            surroundings = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marker in surroundings:
            found.append(process.name)
    return found


def test_everything_that_runs_is_silent_and_never_pickles(tmp_path: Path) -> None:
    values = server_environment(Home(tmp_path))
    assert values["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert values["SLUICE_HOME"] == str(tmp_path)
    assert values["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
    assert values["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("lease_storage.filesystem")
    assert values["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert values["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert values["GX_ANALYTICS_ENABLED"] == "false"
    assert values["DO_NOT_TRACK"] == "1"


def test_without_a_server_no_address_is_given(tmp_path: Path) -> None:
    assert "PREFECT_API_URL" not in server_environment(Home(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_the_caller_names_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example.org/api")
    values = server_environment(Home(tmp_path))
    assert values["PREFECT_API_URL"] == "http://prefect.example.org/api"


def test_a_named_server_that_does_not_answer_is_named(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{port}/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    with (
        pytest.raises(ServerUnavailable, match=address),
        run_server(Home(tmp_path), report=ignore),
    ):
        pass
    assert not (tmp_path / "server.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "port": 2}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert read_record(Home(tmp_path)) is None


def test_a_record_alone_is_no_living_server(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "server.json").write_text(f'{{"pid": {os.getpid()}, "port": 1}}')
    assert read_record(home) == ServerRecord(os.getpid(), 1)
    assert not is_alive(home)


def test_stopping_a_dead_server_spares_the_process_that_has_its_id_now(tmp_path: Path) -> None:
    stop_process(Home(tmp_path), ServerRecord(os.getpid(), 1))


def test_a_port_with_a_listener_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
    assert is_free(taken)


def test_a_program_that_is_no_prefect_server_is_not_healthy() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert not is_healthy(f"http://127.0.0.1:{server.server_port}/api")
        server.shutdown()


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(ServerUnavailable, match="file"),
        run_server(Home(tmp_path / "file"), report=ignore),
    ):
        pass


@pytest.mark.slow
def test_a_server_that_ends_while_starting_is_reported_with_its_last_line(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_REQUEST_TIMEOUT", "soon")
    home = Home(tmp_path)
    with (
        pytest.raises(ServerUnavailable, match=r"ended while starting: .*prefect-server\.log"),
        run_server(home, port, report=ignore),
    ):
        pass
    assert not is_alive(home)


@pytest.fixture(scope="class")
def running(home: Home, port: int) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.delenv("PREFECT_API_URL", raising=False)
        lines: list[str] = []
        taken = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        api = stack.enter_context(run_server(home, port, report=lines.append))
        taken.close()
        words = [line for line in lines if line.endswith(f"; trying {port + 1}")]
        assert words[0].startswith(f"port {port} is taken by ")
        yield api


@pytest.mark.slow
class TestRunning:
    """One running server and what its users see of it."""

    def test_it_took_the_next_free_port_and_answers(self, running: str, port: int) -> None:
        found = int(running.removesuffix("/api").rpartition(":")[2])
        assert port < found <= port + 9, "another process of the tests may have taken the next one"
        assert is_healthy(running)

    def test_its_pages_are_there(self, running: str) -> None:
        pages = running.removesuffix("/api")
        with urllib.request.urlopen(pages, timeout=10) as answer:  # noqa: S310
            assert b"<html" in answer.read()

    def test_its_address_is_in_the_environment(self, running: str, home: Home) -> None:
        assert server_environment(home)["PREFECT_API_URL"] == running

    def test_it_knows_its_state_folder(self, running: str, home: Home, tmp_path: Path) -> None:
        assert is_of_home(running, home.prefect, read_login(home))
        assert not is_of_home(running, tmp_path, read_login(home))
        assert not is_of_home(running, home.prefect, "sluice:of-another-folder")

    def test_a_second_user_shares_it_and_leaves_it_running(
        self, running: str, home: Home, port: int
    ) -> None:
        lines: list[str] = []
        with run_server(home, port, report=lines.append) as api:
            assert api == running
        assert lines == [f"using the Prefect server at {running.removesuffix('/api')}"]
        assert is_healthy(running)

    def test_its_login_is_its_owners_only_and_goes_to_no_other_server(
        self, running: str, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert stat.S_IMODE(home.login_file.stat().st_mode) == 0o600
        assert server_environment(home)["PREFECT_API_AUTH_STRING"] == read_login(home)
        monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example.org/api")
        assert "PREFECT_API_AUTH_STRING" not in server_environment(home)

    def test_a_caller_that_names_it_without_its_login_is_told_where_that_is(
        self, running: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PREFECT_API_URL", running)
        words = (
            r"refuses the login; next: set PREFECT_API_AUTH_STRING to the line in `prefect-login`"
        )
        with (
            pytest.raises(ServerUnavailable, match=words),
            run_server(Home(tmp_path), report=ignore),
        ):
            pass

    def test_a_caller_that_names_it_shares_it(
        self, running: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PREFECT_API_URL", running + "/")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", read_login(home))
        with run_server(Home(tmp_path), report=ignore) as api:
            assert api == running
        assert list(tmp_path.iterdir()) == []

    def test_a_second_server_of_the_state_folder_is_refused(
        self, running: str, home: Home, port: int
    ) -> None:
        with pytest.raises(ServerUnavailable, match="runs without a record"):
            start_process(home, port, os.environ, home.logs / "second.log")
        assert is_healthy(running)


@pytest.mark.slow
def test_the_last_user_ends_it_though_another_started_it(home: Home, port: int) -> None:
    with use_elsewhere(home, port) as starter:
        await_line(starter, "ready")
        with run_server(home, port, report=ignore) as api:
            starter.communicate(input="", timeout=30)
            assert starter.returncode == 0
            assert is_healthy(api)
    assert not is_alive(home)
    assert find_processes(home) == []


@pytest.mark.slow
@pytest.mark.faults
def test_the_server_of_a_killed_user_is_found_and_ended_by_the_next(home: Home, port: int) -> None:
    with use_elsewhere(home, port) as starter:
        await_line(starter, "ready")
        starter.kill()
        starter.wait()
    left = read_record(home)
    assert is_alive(home)
    with run_server(home, port, report=ignore):
        assert read_record(home) == left
    assert not is_alive(home)
    assert find_processes(home) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "starting"), (signal.SIGTERM, "starting"), (signal.SIGTERM, "ready")],
)
def test_a_user_that_is_signalled_to_end_leaves_nothing_behind(
    home: Home, port: int, number: signal.Signals, moment: str
) -> None:
    with use_elsewhere(home, port) as user:
        await_line(user, moment)
        time.sleep(0.5)
        user.send_signal(number)
        user.wait(timeout=slowed(30))
        assert user.returncode != 0
    assert not is_alive(home)
    assert find_processes(home) == []
    assert is_free(port)


@pytest.mark.slow
def test_a_port_that_is_taken_while_the_server_starts_is_left_to_the_other(tmp_path: Path) -> None:
    home, first = add_server_database(Home(tmp_path)), find_free_port()
    with ExitStack() as stack:
        lines: list[str] = []

        def take_port(line: str) -> None:
            """Another program is quicker, after the port was found free."""
            if line.startswith("starting the Prefect server at") and not lines:
                stack.enter_context(socket.create_server(("127.0.0.1", first)))
            lines.append(line)

        api = stack.enter_context(run_server(home, first, report=take_port))
        record = read_record(home)
        assert record is not None
        assert first < record.port < first + 10
        assert (api, is_of_home(api, home.prefect, read_login(home))) == (record.api, True)
        starts = [line for line in lines if line.startswith("starting the Prefect server at")]
        assert len(starts) == 2


@pytest.mark.slow
def test_two_that_start_at_once_on_one_port_both_come_up(tmp_path: Path, port: int) -> None:
    homes = [add_server_database(Home(tmp_path / name)) for name in ("one", "two")]
    with ExitStack() as stack:
        users = [stack.enter_context(use_elsewhere(home, port)) for home in homes]
        for user in users:
            await_line(user, "ready")
        records = [read_record(home) for home in homes]
        ports = {record.port for record in records if record}
        assert len(ports) == 2
        assert ports <= set(range(port, port + 10))
        for home, record in zip(homes, records, strict=True):
            assert record is not None
            assert is_of_home(record.api, home.prefect, read_login(home))
        for user in users:
            user.communicate(input="", timeout=60)
            assert user.returncode == 0
    assert [is_alive(home) for home in homes] == [False, False]
