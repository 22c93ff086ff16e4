"""A Prefect server that is killed between an event and its run: still one release."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.server.api import ask_server
from sluice.adapters.server.home_server import run_server, server_environment
from sluice.adapters.server.login import read_login
from sluice.adapters.server.process import is_alive, read_record
from sluice.home import SAMPLES, Home
from support.releases.runs import run_sluice
from support.servers.stack import await_answer, count_versions, run_worker

pytestmark = [pytest.mark.slow, pytest.mark.faults]

FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
SECONDS = 240.0


@contextmanager
def serve(home: Home, port: int) -> Iterator[str]:
    """A server of the state folder's own, independent of the session's server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        with run_server(home, port, report=lambda _: None) as api:
            yield api


class Api:
    """The API of a state folder's own server, asked with its login."""

    def __init__(self, home: Home, address: str) -> None:
        self._login, self._address = read_login(home), address

    def post(self, path: str, body: Any) -> Any:
        status, found = ask_server(f"{self._address}/{path}", body, seconds=60, login=self._login)
        assert status in (200, 204), (path, status)
        return found

    def find_releases(self) -> list[dict[str, Any]]:
        """Return the release runs that no schedule created."""
        found = self.post("flow_runs/filter", {"flows": {"name": {"any_": ["release"]}}})
        return [run for run in found if not run["auto_scheduled"]]

    def find_events(self) -> list[dict[str, Any]]:
        wanted = {"filter": {"event": {"name": ["data.changed"]}}}
        found: list[dict[str, Any]] = self.post("events/filter", wanted)["events"]
        return found

    def have_ended(self) -> bool:
        return all(run["state_type"] in FINAL for run in self.find_releases())


def kill_server(home: Home) -> int:
    record = read_record(home)
    assert record is not None
    os.killpg(record.pid, signal.SIGKILL)
    assert await_answer(lambda: not is_alive(home), 30)
    return record.port


def test_server_killed_between_event_and_run_releases_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = str(SAMPLES / "acs_employment_2015.parquet")
    home.root.mkdir()
    with serve(home, 4700) as api:
        variables = {**server_environment(home), "PREFECT_API_URL": api}
        deployed = run_sluice("deploy", home=home.root, **variables)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        taken = run_sluice("ingest", "employment", file, home=home.root, **variables)
        assert taken.returncode == 0, taken.stdout + taken.stderr
        server = Api(home, api)
        assert len(await_answer(server.find_releases, SECONDS)) == 1
        events = await_answer(server.find_events, SECONDS)
        port = kill_server(home)
        with serve(home, port) as again:
            assert again == api
            # What a client without an answer sends again: exactly the same events.
            server.post("events", [{**event, "follows": None} for event in events])
            log = tmp_path / "worker.log"
            with run_worker(log, **variables):
                assert await_answer(server.have_ended, SECONDS), log.read_text()
            ended = [(run["state_type"], run["state_name"]) for run in server.find_releases()]
            assert ended.count(("COMPLETED", "Completed")) == 1
            assert set(ended) <= {("COMPLETED", "Completed"), ("COMPLETED", "Skipped")}
    assert count_versions(home) == 1
    claims = open_control(home).causes.list_claims("employment")
    assert [item.outcome for item in claims] == ["registered it"]
