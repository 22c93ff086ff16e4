"""Facts about runs that ended, for several test files."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from sluice.config.data import DataConfig
from sluice.config.service import ServiceConfig
from sluice.home import CONFIGS, SAMPLES, SUITES, Home
from sluice.profile.facts.columns import ColumnFacts, describe_column, kind_of_type
from support.servers.forks import run_command

RUN_SECONDS = 180.0
"""The longest that a command may take."""
Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs the command line with arguments."""


def facts_of(**columns: list[Any]) -> tuple[ColumnFacts, ...]:
    """Describe columns, given as lists, as a file's columns are."""
    found = []
    for name, values in columns.items():
        column = pa.chunked_array([pa.array(values)])
        kind, reason = kind_of_type(column, name, "test")
        found.append(describe_column(name, column, kind, reason, "test")[1])
    return tuple(found)


def small_config(*features: str) -> DataConfig:
    """Configure a table with a column of each kind, by an id of whole numbers."""
    return DataConfig(
        id="key",
        target="label",
        columns={
            "key": "integer",
            "size": "number",
            "name": "text",
            "flag": "boolean",
            "seen": "timestamp",
            "label": "integer",
        },
        features=features,
        suite="none",
    )


def session_root() -> Path:
    """The folder of the session's Prefect server."""
    return Path(os.environ["PREFECT_HOME"]).parent


def ingest_year(year: int) -> Any:
    """Ingest one survey year and return the flow's final state."""
    from flows.ingest import ingest

    file = SAMPLES / f"acs_employment_{year}.parquet"
    return ingest("employment", str(file), return_state=True)


def artifacts_of(state: Any) -> dict[str, Any]:
    """Return a flow run's artifacts by key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    run = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        found = client.read_artifacts(artifact_filter=wanted)
    return {item.key: item for item in found if item.key}


def task_runs_of(state: Any) -> list[Any]:
    """Return a flow run's task runs, in the order in which they started."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    run = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))
    return sorted(found, key=lambda item: str(item.start_time))


def gate_runs_of(state: Any) -> dict[str, Any]:
    """Return the task runs that are gates, by gate."""
    runs = {item.name: item for item in task_runs_of(state)}
    return {name.removesuffix(" gate"): run for name, run in runs.items() if name.endswith(" gate")}


def latest_run(flow: str) -> Any:
    """Return the flow run that started last."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        wanted = FlowFilter(name=FlowFilterName(any_=[flow]))
        found = client.read_flow_runs(flow_filter=wanted, sort=FlowRunSort.START_TIME_DESC, limit=1)
    return found[0]


def release_with(config: ServiceConfig, cause: str) -> Any:
    """Release the default service by a configuration of the test's own; return the run's state."""
    from flows.release import release

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.release.load_service", lambda *_: config)
        return release("employment", cause=cause, return_state=True)


def run_sluice(
    *arguments: str, home: Path, before: Callable[[], None] | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command line in its own process, with a state folder.

    `before` is called in that process first.
    """
    environment = {**os.environ, "SLUICE_HOME": str(home), **variables}
    if before is None:
        return run_command("cli", arguments, environment, RUN_SECONDS)
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=environment,
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


@contextmanager
def start_sluice(
    *arguments: str, home: Path, **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start the command line in its own process, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        env={**os.environ, "SLUICE_HOME": str(home), "PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def write_service(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """Write the default service's file under another name; a change replaces one text."""
    text = (CONFIGS / "employment.yaml").read_text(encoding="utf-8")
    for old, new in (("service: employment", f"service: {name}"), *changes):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def write_rollout(folder: Path, name: str, **rollout: Any) -> Path:
    """Write the default service's file under another name, with another section `rollout`."""
    path = write_service(folder, name)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**values, "rollout": rollout}), encoding="utf-8")
    return path


def describe_state(home: Home) -> dict[str, Any]:
    """Return a state folder's data versions, refused batches and models of the default service."""
    from sluice.adapters.registry.client import open_registry
    from sluice.adapters.tables.delta import list_versions
    from sluice.errors import DataMissing

    try:
        versions = list_versions(home.table("employment"), "employment")
    except DataMissing:
        versions = []
    refused = home.quarantine("employment")
    aliases = ("champion", "candidate", "previous")
    models = {name: open_registry(home).find_alias("employment", name) for name in aliases}
    return {
        "data": [(item.version, item.rows, item.content_hash) for item in versions],
        "refused": sorted(str(path.relative_to(refused)) for path in refused.rglob("*")),
        "models": {name: item.version for name, item in models.items() if item},
        "scratch": sorted(str(path) for path in (home.root / "work").glob("*")),
    }


def runs_of(home: Home, service: str = "employment") -> list[Any]:
    """Return a service's registry runs as MLflow has them, by start."""
    from sluice.adapters.registry.store import Store

    store = Store(home.tracking_uri, home.model_artifacts)
    return sorted(store.list_runs(service, {}), key=lambda run: run.info.start_time)


def spans_of(home: Home, service: str = "employment") -> list[tuple[float, float]]:
    """Return when each release of a service opened and ended its registry run, by start."""
    infos = [run.info for run in runs_of(home, service)]
    return [(info.start_time, info.end_time or float("inf")) for info in infos]


def versions_of(home: Home, service: str = "employment") -> dict[int, str]:
    """Return the flow run that registered each version of a service's model, by version."""
    from sluice.adapters.registry.store import Store

    found = Store(home.tracking_uri, home.model_artifacts).list_versions(service)
    return {item.version: item.tags["prefect.flow_run_id"] for item in found}


def text_of(page: str) -> str:
    """Return a Markdown page as a person reads it: cells in one line, without bold."""
    return page.replace("**", "").replace("<br>", " ")


def logs_of(state: Any) -> list[str]:
    """Return the server's log lines of a flow run, its tasks' included, by its state."""
    return logs_of_run(state.state_details.flow_run_id)


def logs_of_run(flow_run: Any) -> list[str]:
    """Return the server's log lines of a flow run, its tasks' included, by its id."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=10)
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run]))
    with get_client(sync_client=True) as client:
        return [item.message for item in client.read_logs(log_filter=wanted, limit=200)]


def states_of(run: Any) -> list[str]:
    """Return the names of a task run's states, in order."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client._client.get("/task_run_states/", params={"task_run_id": str(run.id)})
    states = sorted(found.raise_for_status().json(), key=lambda item: str(item["timestamp"]))
    return [str(item["name"]) for item in states]


def edit_suite(folder: Path, edit: Callable[[list[dict[str, Any]]], Any]) -> Path:
    """Copy the suites to a folder, with the rules of the default one edited."""
    shutil.copytree(SUITES, folder)
    path = folder / "expectations" / "employment.json"
    values = json.loads(path.read_text())
    edit(values["expectations"])
    path.write_text(json.dumps(values))
    return folder


def read_complaints(ended: "subprocess.CompletedProcess[str]") -> str:
    """Return what a command wrote to stderr, less its words of progress on a slow machine."""
    progress = re.compile(r"  .*, \d+ s")
    lines = ended.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not progress.fullmatch(line.rstrip("\n")))
