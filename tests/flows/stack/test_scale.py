"""Many workers, as docs/run-it.md starts them: Postgres, Redis, two API servers behind nginx."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sluice.home import PROJECT, SAMPLES
from support.servers.commands import WORD, Stage, open_stage, read_commands
from support.servers.control import find_postgres, run_postgres
from support.servers.ports import find_free_ports
from support.servers.proxy import make_certificate, run_nginx, run_redis, why_no_scale

MISSING = why_no_scale()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

PAGE = (PROJECT / "docs" / "run-it.md").read_text(encoding="utf-8")
TEMPLATES = PROJECT / "docs" / "run-it"
RUN_SECONDS = 480.0


class Site:
    """The running system as a person or program outside sees it, through the proxy."""

    def __init__(self, stage: Stage, proxy: str, registry: str) -> None:
        self.stage, self.api, self.registry = stage, f"https://{proxy}/api", f"https://{registry}"

    def ask(self, path: str, **body: Any) -> Any:
        """Call Prefect's API through the proxy, with a body or without."""
        method = "POST" if body else "GET"
        options = {"json": body} if body else {}
        answer = self.stage.ask(method, f"{self.api}/{path}", **options)
        return answer.raise_for_status().json()

    def list_models(self) -> list[tuple[int, str]]:
        """Return each registered version with its data version, oldest first."""
        address = f"{self.registry}/api/2.0/mlflow/model-versions/search"
        answer = self.stage.ask("GET", address, params={"filter": "name='employment'"})
        versions = answer.raise_for_status().json().get("model_versions", [])
        tags = [{tag["key"]: tag["value"] for tag in item["tags"]} for item in versions]
        numbers = [int(item["version"]) for item in versions]
        data = [tag["sluice.data.version"] for tag in tags]
        return sorted(zip(numbers, data, strict=True))

    def create_run(self, deployment: str, **parameters: Any) -> str:
        """Create a run of a deployment, `flow/deployment`, and return its id."""
        found = self.ask(f"deployments/name/{deployment}")
        path = f"deployments/{found['id']}/create_flow_run"
        return str(self.ask(path, parameters=parameters, state={"type": "SCHEDULED"})["id"])

    def list_runs(self, flow: str) -> list[dict[str, Any]]:
        """Return the runs of a flow that are due, not those of the weekly schedule to come."""
        runs = self.ask("flow_runs/filter", flows={"name": {"any_": [flow]}})
        return [run for run in runs if not run["auto_scheduled"]]

    def state_of(self, run: str) -> str:
        return str(self.ask(f"flow_runs/{run}")["state"]["type"])

    def explain(self, run: str) -> str:
        """Return the output of a run and of every process, for a failed assertion."""
        wanted = {"flow_run_id": {"any_": [run]}}
        logs = self.ask("logs/filter", logs=wanted, sort="TIMESTAMP_ASC", limit=200)
        return "\n".join(item["message"] for item in logs) + "\n" + self.stage.read_logs()

    def await_state(self, run: str, *wanted: str) -> str:
        """Wait until a run is in one of the states, or has ended; return the state."""
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        self.await_true(lambda: self.state_of(run) in (*wanted, *final))
        return self.state_of(run)

    def await_true(self, question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + RUN_SECONDS
        while not (answer := question()):
            assert time.monotonic() < deadline, self.stage.read_logs()
            time.sleep(0.5)
        return answer


def find_places(folder: Path, postgres: str, ports: list[int]) -> dict[str, str]:
    """Return this machine's value of each place of the page and its files: the only difference."""
    first, second, pages, proxy, registry, redis = ports
    database = postgres.split("@")[1]
    return {
        "--host 10.0.0.11 --port 4200": f"--host 127.0.0.1 --port {first}",
        "--host 10.0.0.12 --port 4200": f"--host 127.0.0.1 --port {second}",
        "server 127.0.0.1:4200 max_fails=1 fail_timeout=5s;": "",
        "# server 10.0.0.11:4200": f"server 127.0.0.1:{first}",
        "# server 10.0.0.12:4200": f"server 127.0.0.1:{second}",
        "--port 5000": f"--port {pages}",
        "127.0.0.1:5000": f"127.0.0.1:{pages}",
        "listen 443 ssl": f"listen 127.0.0.1:{proxy} ssl",
        "listen 5443 ssl": f"listen 127.0.0.1:{registry} ssl",
        "sluice.example.org:5443": f"127.0.0.1:{registry}",
        "https://sluice.example.org/": f"https://127.0.0.1:{proxy}/",
        "sluice.example.org": "127.0.0.1",
        "postgres@10.0.0.20:5432": f"sluice@{database}",
        "10.0.0.20:5432": database,
        "10.0.0.21:6379": f"127.0.0.1:{redis}",
        "/etc/sluice": str(folder / "etc"),
        "/srv/sluice": str(folder / "srv" / "sluice"),
        "-C /srv ": f"-C {folder / 'srv'} ",
        "/var/lib/sluice": str(folder / "var"),
        "/var/backups": str(folder / "backups"),
        "docs/run-it/databases.sql": str(folder / "etc" / "databases.sql"),
        ".venv/bin/prefect": f"{sys.executable} -m prefect",
        ".venv/bin/mlflow": f"{sys.executable} -m mlflow",
        ".venv/bin/sluice": f"{sys.executable} -m cli",
        "SLUICE_ENV=production": "SLUICE_ENV=development",  # the test's code may be uncommitted
        "CHANGE-ME": WORD,
    }


def write_settings(stage: Stage) -> None:
    """Copy the page's files to their places, with this machine's values."""
    for name in ("etc", "srv/sluice/mlflow", "var", "backups"):
        (stage.folder / name).mkdir(parents=True)
    for name in ("api.env", "mlflow.env", "worker.env", "nginx.conf", "databases.sql"):
        text = (TEMPLATES / name).read_text(encoding="utf-8")
        (stage.folder / "etc" / name).write_text(stage.translate(text), encoding="utf-8")
    make_certificate(stage.folder / "etc")
    [[password]] = [
        block for block in read_commands(PAGE, "One server") if "openssl" in "".join(block)
    ]
    stage.run("password", [password])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page's part `Many workers`, run to its end, with a second worker."""
    folder = tmp_path_factory.mktemp("scale")
    ports = find_free_ports(6)
    first, second, pages, proxy, registry, redis = ports
    programs = find_postgres()
    assert programs is not None
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv(
            "PATH", f"{programs}{os.pathsep}{os.environ['PATH']}"
        )
        postgres = stack.enter_context(run_postgres())
        places = find_places(folder, postgres, ports)
        stage = stack.enter_context(open_stage(folder, places))
        write_settings(stage)
        stack.enter_context(run_redis(folder / "redis", redis, WORD))
        databases, servers, others, models, deploy, worker, _ = read_commands(PAGE, "Many workers")
        stage.play(databases)
        stage.play(models)
        stage.play(servers)
        stage.await_answer(f"http://127.0.0.1:{first}/api/health")
        stage.play(others)
        stage.await_answer(f"http://127.0.0.1:{second}/api/health")
        stage.await_answer(f"http://127.0.0.1:{pages}/health")
        stack.enter_context(run_nginx(folder / "nginx", folder / "etc" / "nginx.conf"))
        stage.await_answer(f"https://127.0.0.1:{proxy}/api/health")
        stage.play(deploy)
        stage.play(worker)
        stage.play(worker)
        stack.callback(stage.stop)  # before the servers that it uses
        yield Site(stage, f"127.0.0.1:{proxy}", f"127.0.0.1:{registry}")


def find_triggered(site: Site) -> list[dict[str, Any]]:
    return [run for run in site.list_runs("release") if run["parameters"]["cause"] != "by hand"]


def test_both_workers_are_online(site: Site) -> None:
    def find_online() -> bool:
        found = site.ask("work_pools/sluice/workers/filter", limit=10)
        return [item["status"] for item in found] == ["ONLINE", "ONLINE"]

    assert site.await_true(find_online)


def test_command_line_of_a_worker_reaches_the_server(site: Site) -> None:
    probe = "import os; from sluice.adapters.server.api import is_healthy as healthy; "
    probe += "print(healthy(os.environ['PREFECT_API_URL']))"
    settings = "set -a; . /etc/sluice/worker.env; set +a"
    printed = site.stage.run("health", [settings, f'{sys.executable} -c "{probe}"'])
    assert printed == "True\n"


def test_new_data_starts_exactly_one_release(site: Site) -> None:
    file = SAMPLES / "acs_employment_2015.parquet"
    ingest = site.create_run("ingest/ingest", service="employment", source=str(file))
    assert site.await_state(ingest) == "COMPLETED", site.explain(ingest)
    [run] = site.await_true(lambda: find_triggered(site))
    assert site.await_state(run["id"]) == "COMPLETED", site.explain(run["id"])
    assert site.list_models() == [(1, "0")]


def test_api_server_killed_in_mid_run_is_not_noticed(site: Site) -> None:
    run = site.create_run("release/release", service="employment", cause="by hand")
    assert site.await_state(run, "RUNNING") == "RUNNING"
    site.stage.kill("10.0.0.11")
    assert site.await_state(run) == "COMPLETED", site.explain(run)
    assert site.list_models() == [(1, "0"), (2, "0")]
    assert len(find_triggered(site)) == 1


def test_backups_are_written(site: Site) -> None:
    *_, backups = read_commands(PAGE, "Many workers")
    site.stage.play(backups)
    folder = site.stage.folder / "backups"
    listed = subprocess.run(
        ["tar", "-tzf", str(folder / "sluice.tar.gz")], capture_output=True, text=True, check=True
    ).stdout
    assert "sluice/data/employment/table/_delta_log/00000000000000000000.json" in listed
    assert all((folder / f"{name}.dump").stat().st_size for name in ("prefect", "mlflow"))
