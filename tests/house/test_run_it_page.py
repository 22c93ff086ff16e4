"""The commands of docs/run-it.md do what the page says; `Many workers` is in test_scale.py."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.home import PROJECT
from support.servers.commands import WORD, open_stage, read_commands
from support.servers.ports import find_free_ports
from support.servers.proxy import make_certificate, run_nginx, why_no_proxy

PAGE = (PROJECT / "docs" / "run-it.md").read_text(encoding="utf-8")
TEMPLATES = PROJECT / "docs" / "run-it"


def find_places(folder: Path, ports: list[int]) -> dict[str, str]:
    """Return this test's value for each place of the page and its files: the only difference."""
    server, pages, proxy, registry = ports
    return {
        "/opt/sluice": str(PROJECT),
        "make install": "true",  # `make test` has done it
        "--port 4200": f"--port {server}",
        "127.0.0.1:4200": f"127.0.0.1:{server}",
        "--port 5000": f"--port {pages}",
        "127.0.0.1:5000": f"127.0.0.1:{pages}",
        "listen 443 ssl": f"listen 127.0.0.1:{proxy} ssl",
        "listen 5443 ssl": f"listen 127.0.0.1:{registry} ssl",
        "sluice.example.org:5443": f"127.0.0.1:{registry}",
        "https://sluice.example.org/": f"https://127.0.0.1:{proxy}/",
        "sluice.example.org": "127.0.0.1",
        "/etc/sluice": str(folder / "etc"),
        "/srv/sluice": str(folder / "srv" / "sluice"),
        "-C /srv ": f"-C {folder / 'srv'} ",
        "/var/backups": str(folder / "backups"),
        ".venv/bin/prefect": f"{sys.executable} -m prefect",
        ".venv/bin/uvicorn": f"{sys.executable} -m uvicorn",
        ".venv/bin/mlflow": f"{sys.executable} -m mlflow",
        ".venv/bin/sluice": f"{sys.executable} -m cli",
        "CHANGE-ME": WORD,
    }


@pytest.mark.slow
@pytest.mark.skipif(bool(why_no_proxy()), reason=why_no_proxy())
def test_one_server_runs_as_the_page_says(tmp_path: Path) -> None:
    ports = find_free_ports(4)
    server, pages, proxy, registry = ports
    etc = tmp_path / "etc"
    for folder in (etc, tmp_path / "srv", tmp_path / "backups"):
        folder.mkdir()
    make_certificate(etc)
    install, processes, deploy, password, backup = read_commands(PAGE, "One server")
    settings = [command for command in install if command.startswith("set -a")]
    with open_stage(tmp_path, find_places(tmp_path, ports)) as stage:
        for name, target in (("one-server.env", "sluice.env"), ("nginx.conf", "nginx.conf")):
            text = (TEMPLATES / name).read_text(encoding="utf-8")
            (etc / target).write_text(stage.translate(text), encoding="utf-8")
        stage.play(install)
        stage.play(password)
        *servers, worker = processes
        stage.play([*settings, *servers])
        with run_nginx(tmp_path / "nginx", etc / "nginx.conf"):
            stage.await_answer(f"http://127.0.0.1:{server}/api/health")
            stage.await_answer(f"http://127.0.0.1:{pages}/health")
            stage.play([*settings, *deploy])
            stage.play([*settings, worker])
            prefect, mlflow = f"https://127.0.0.1:{proxy}", f"https://127.0.0.1:{registry}"
            release = f"{prefect}/api/deployments/name/release/release"
            assert stage.ask_status(release) == 200
            assert stage.ask_status(release, auth=None) == 401
            search = f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
            assert stage.ask_status(search, headers={"Origin": mlflow}) == 200
            assert stage.ask_status(search, auth=None) == 401
            stage.await_answer(f"{prefect}/api/work_pools/sluice")
            stage.stop()
        stage.play(backup)
    listed = subprocess.run(
        ["tar", "-tzf", str(tmp_path / "backups" / "sluice.tar.gz")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {"sluice/prefect/prefect.db", "sluice/mlflow/mlflow.db"} <= set(listed)


def test_laptop_part_is_the_command_that_test_up_runs() -> None:
    start, login = read_commands(PAGE, "A laptop")
    assert start == ["make up"]
    assert login[0].startswith("export PREFECT_API_URL=")
    recipe = (PROJECT / "Makefile").read_text(encoding="utf-8").split("\nup: install")[1]
    assert "sluice up" in recipe.splitlines()[1]


def test_page_names_every_file_that_it_ships() -> None:
    shipped = {path.name for path in TEMPLATES.iterdir()}
    assert shipped == set(re.findall(r"`([a-z-]+\.(?:env|conf|sql|service))`", PAGE)) & shipped
    assert len(shipped) == 7


def find_settings() -> set[str]:
    """Return every setting that Prefect, its Redis package, MLflow and Sluice know."""
    from prefect.settings import Settings
    from prefect.settings.legacy import _get_settings_fields
    from prefect_redis.cleanup_queue import RedisWorkerCleanupQueueSettings
    from prefect_redis.client import RedisMessagingSettings

    known = set(_get_settings_fields(Settings)) | {"DO_NOT_TRACK", "SSL_CERT_FILE"}
    for prefix, model in (
        ("PREFECT_REDIS_MESSAGING_", RedisMessagingSettings),
        ("PREFECT_REDIS_WORKER_CLEANUP_QUEUE_", RedisWorkerCleanupQueueSettings),
    ):
        known |= {prefix + name.upper() for name in model.model_fields}
    package = Path(importlib.util.find_spec("mlflow").origin).parent
    sources = [package / "environment_variables.py", package / "utils" / "cli_args.py"]
    sources += [package / "cli" / "__init__.py", *(PROJECT / "sluice").rglob("*.py")]
    for path in [*sources, *(PROJECT / "tasks").rglob("*.py")]:
        known |= set(re.findall(r"\b(?:SLUICE|MLFLOW|GX)_[A-Z_]+\b", path.read_text()))
    return known


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.env")), ids=lambda path: path.name)
def test_settings_are_known_and_set_once(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [line.split("=")[0] for line in lines if line and not line.startswith("#")]
    assert len(names) == len(set(names))
    assert set(names) - find_settings() == set()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = (TEMPLATES / "sluice-worker.service").read_text(encoding="utf-8")
    program = "/opt/sluice/.venv/bin/prefect"
    assert text.count(program) == 1
    unit = tmp_path / "sluice-worker.service"
    unit.write_text(text.replace(program, sys.executable), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert unit.name not in done.stderr, done.stderr
