"""Lineage of this process's flow runs: what each read and wrote, told where it is configured.

A run is told once it is known what it reads: START then, and its end as COMPLETE, FAIL or ABORT. A
run that was skipped before that is not told. Without a configured endpoint every function returns
at once. Nothing here can end a flow: a failed event is one warning, and the rest of the run's are
not sent.
"""

import functools
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import __version__ as engine_version
from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from sluice.adapters.machine import read_code_version
from sluice.adapters.telemetry.lineage import LineageSender, find_namespace, is_configured
from sluice.home import PROJECT, find_home
from sluice.lineage import DataSet, LineageJob, LineageRun, QualityCheck, RunState
from sluice.verdict import Outcome, Verdict

TOLD = ("ingest", "release", "release_prompt", "rollout")
"""The flows whose runs are told; each is a job for each service."""
LONGEST_ERROR = 1000
GIT_SECONDS = 10.0


@dataclass
class TrackedRun:
    """A flow run that is told: its facts so far, and whether its start was told."""

    run: LineageRun
    sender: LineageSender = field(default_factory=LineageSender)
    has_started: bool = False
    is_warned: bool = False
    aborted: str = ""
    """Why it was given up although it ended well."""

    def tell(self, state: RunState) -> None:
        """Send an event; the first that fails is one warning."""
        try:
            self.sender.send(self.run, state, datetime.now(UTC))
        except RuntimeError as error:  # no thread can be started at the end of a process
            self.sender.problem = str(error)
        if self.sender.problem and not self.is_warned:
            self.is_warned = True
            get_run_logger().warning(
                "no lineage of this run is told any more: %s", self.sender.problem
            )


_RUNS: dict[str, TrackedRun] = {}
"""The runs under way in this process, by their ids."""


@contextmanager
def track_lineage(flow_file: str) -> Iterator[list[Any]]:
    """Tell the lineage of the flow run that the block is, if it is one that is told.

    `flow_file` is the flow's file within the project. The block appends what the flow returned.
    """
    result: list[Any] = []
    if flow_run.flow_name not in TOLD or not is_configured():
        yield result
        return
    run_id = str(flow_run.id)
    try:
        tracked = _RUNS[run_id] = TrackedRun(_describe_run(flow_file))
    except Exception as error:  # lineage never ends a flow
        get_run_logger().warning("no lineage of this run is told: %s", error)
        yield result
        return
    try:
        yield result
    except BaseException as error:
        state = RunState.FAIL if isinstance(error, Exception) else RunState.ABORT
        _end(tracked, state, f"{type(error).__name__}: {error}")
        raise
    else:
        ended = result[-1] if result else None
        if isinstance(ended, State) and ended.is_failed():
            _end(tracked, RunState.FAIL, ended.message or "")
        else:
            _end(tracked, RunState.COMPLETE)
    finally:
        _RUNS.pop(run_id, None)


def note_input(item: DataSet) -> None:
    """Note what the run reads; the first one tells its start. The same again replaces it."""
    with _noting() as tracked:
        if tracked is None:
            return
        tracked.run = replace(tracked.run, inputs=_put(tracked.run.inputs, item))
        if not tracked.has_started:
            tracked.has_started = True
            tracked.tell(RunState.START)


def note_output(item: DataSet) -> None:
    """Note what the run wrote."""
    with _noting() as tracked:
        if tracked is not None:
            tracked.run = replace(tracked.run, outputs=_put(tracked.run.outputs, item))


def note_abort(reason: str) -> None:
    """Note that a person gave up what the run did, so that its end is ABORT."""
    with _noting() as tracked:
        if tracked is not None:
            tracked.aborted = reason


def note_parent(run_id: str, job: str) -> None:
    """Note the run that this one follows from; an id that is no UUID is left out."""
    with _noting() as tracked:
        if tracked is not None:
            name = f"{job}.{tracked.run.tags.get('service', '')}".rstrip(".")
            tracked.run = replace(tracked.run, parent=str(UUID(run_id)), parent_job=name)


def note_verdict(verdict: Verdict) -> None:
    """Note a gate's outcome; the data gate's checks are about the quality of the last input."""
    with _noting() as tracked:
        if tracked is None:
            return
        outcome = {f"gate.{verdict.gate}": verdict.outcome.value}
        run = replace(tracked.run, tags={**tracked.run.tags, **outcome})
        if verdict.gate == "data" and run.inputs:
            checks = tuple(
                QualityCheck(item.name, item.outcome is Outcome.PASS)
                for item in verdict.checks
                if item.outcome in (Outcome.PASS, Outcome.FAIL, Outcome.INSUFFICIENT)
            )
            last = replace(run.inputs[-1], checks=checks)
            run = replace(run, inputs=(*run.inputs[:-1], last))
        tracked.run = run


def name_table(service: str, version: int, rows: int, columns: Mapping[str, str]) -> DataSet:
    """Return the data set of a version of a service's table."""
    place = str(find_home().table(service))
    return DataSet("file", place, str(version), columns, rows)


def name_model(service: str, version: int) -> DataSet:
    """Return the data set of a version of a service's model or prompt in the registry."""
    return DataSet(f"{find_namespace()}/registry", service, str(version))


def name_production(service: str, version: int) -> DataSet:
    """Return the data set of what serves a service's callers."""
    return DataSet(f"{find_namespace()}/production", service, str(version))


@contextmanager
def _noting() -> Iterator[TrackedRun | None]:
    """Give this run's facts, None where it is not told; an error of noting is only logged."""
    tracked = _RUNS.get(str(flow_run.id)) if _RUNS else None
    try:
        yield tracked
    except Exception as error:  # lineage never ends a flow
        get_run_logger().warning("lineage lacks a fact: %s: %s", type(error).__name__, error)


def _put(items: tuple[DataSet, ...], item: DataSet) -> tuple[DataSet, ...]:
    return (*(one for one in items if one.key != item.key), item)


def _end(tracked: TrackedRun, state: RunState, error: str = "") -> None:
    """Tell the end; one that failed before it read anything also gets its start."""
    if state is RunState.COMPLETE and tracked.aborted:
        state, error = RunState.ABORT, tracked.aborted
    if not tracked.has_started:
        if state is RunState.COMPLETE:
            return
        tracked.has_started = True
        tracked.tell(RunState.START)
    tracked.run = replace(tracked.run, error=error[:LONGEST_ERROR])
    tracked.tell(state)


def _describe_run(flow_file: str) -> LineageRun:
    given = flow_run.parameters
    name = next((given[key] for key in ("service", "prompt") if given.get(key)), "")
    service = str(getattr(name, "value", name))
    code = _read_code()
    job = LineageJob(
        find_namespace(),
        f"{flow_run.flow_name}.{service}",
        f"{flow_run.flow_name} of {service}",
        code["repository"],
        flow_file,
        code["commit"],
    )
    tags = {"service": service, "dirty": code["dirty"]}
    if cause := given.get("cause"):
        tags["cause"] = str(cause)
    return LineageRun(str(flow_run.id), job, engine_version, tags=tags)


@functools.lru_cache(maxsize=1)
def _read_code() -> dict[str, str]:
    """Return the commit, and the repository's address without what may be a password.

    Without a remote the address is the project's folder.
    """
    found = read_code_version(PROJECT)
    done = subprocess.run(  # noqa: S603
        ["git", "-C", str(PROJECT), "remote", "get-url", "origin"],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=GIT_SECONDS,
        check=False,
    )
    scheme, mark, rest = done.stdout.strip().partition("://")
    repository = f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else scheme
    repository = repository or PROJECT.as_uri()
    return {"commit": found.commit, "repository": repository, "dirty": str(found.dirty).lower()}
