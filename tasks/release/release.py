"""A release from its start to its end: its inputs, and the registry run that records it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.store import prepare_control
from sluice.adapters.machine import read_code_version, read_environment
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.history import find_experiment
from sluice.adapters.registry.versions import FLOW_RUN, ModelVersionRef
from sluice.adapters.tables.delta import latest_version, read_version
from sluice.config.loading import dump_service, hash_service
from sluice.config.service import ServiceConfig
from sluice.control.admission import say_missing
from sluice.control.release import ReleaseRecord
from sluice.data.version import DataVersion
from sluice.errors import Refused
from sluice.home import LOCK, PROJECT, find_home
from sluice.identity import ReleaseIdentity
from tasks.run.champions import find_champion
from tasks.run.decorators import effect
from tasks.run.forms import LATEST
from tasks.run.lineage import name_table, note_input
from tasks.run.links import link_run


@dataclass(frozen=True)
class Release:
    """One release: its data, its champion, and the registry run that records it.

    `baseline` is the data version that new rows are compared with; None: there is none. `serves` is
    the version that the control store's route names; `champion` is the registry's record of it,
    None also where the registry lacks it.
    """

    service: str
    run_id: str
    identity: ReleaseIdentity
    data: DataVersion
    baseline: int | None
    champion: ModelVersionRef | None
    workspace: str
    serves: int | None = None
    cause: str = ""
    """Why it runs."""
    experiment: str = ""
    """The registry's experiment of the run."""

    @property
    def folder(self) -> Path:
        """The scratch folder, which is removed when the release ends."""
        return Path(self.workspace)

    @property
    def page(self) -> str:
        """The address of the registry run's page."""
        return link_run(self.experiment, self.run_id)


@contextmanager
def record_release(config: ServiceConfig, data_version: int, cause: str) -> Iterator[Release]:
    """Open a release, and close it when the block ends."""
    release = open_release(config, data_version, cause)
    status = "FAILED"
    try:
        yield release
        status = "FINISHED"
    finally:
        close_release(release, status)


@effect
def open_release(config: ServiceConfig, data_version: int, cause: str) -> Release:
    """Determine the release's identity and open its registry run, under the service's lease.

    Remains of killed releases of the service are removed first.

    Raises:
        DataMissing: the service has no data, or not that version.
        Refused: the tree has uncommitted changes and the configuration forbids that.
        Fault: the table, the registry or the control store cannot be reached.
    """
    home = find_home()
    code = read_code_version(PROJECT)
    if code.dirty and config.code.uncommitted == "refuse":
        raise Refused(
            "the code has uncommitted changes and code.uncommitted is `refuse`: commit first"
        )
    uri = home.table(config.service)
    version = latest_version(uri, config.service) if data_version == LATEST else data_version
    _, data = read_version(uri, config.service, version)
    registry = open_registry(home)
    champion = find_champion(config.service)
    identity = ReleaseIdentity(
        service=config.service,
        data=data,
        code=code,
        config_hash=hash_service(config),
        environment=read_environment(LOCK),
    )
    run_id = _open_run(registry, identity, f"{config.service} data v{version} {cause}", cause)
    _clear_lost(registry, config.service, run_id)
    registry.log_text(run_id, "config.yaml", dump_service(config))
    registry.log_data_input(run_id, data, "training")
    note_input(name_table(config.service, version, data.rows, config.data.columns))
    workspace = home.workspace(run_id)
    workspace.mkdir(parents=True, exist_ok=True)
    baseline = _find_baseline(version, champion.record)
    get_run_logger().info(
        "release %s of %s: data version %d (%s rows), champion %s",
        identity.id,
        config.service,
        version,
        f"{data.rows:,}",
        f"v{champion.version}" if champion.version else "none yet",
    )
    if champion.is_missing:
        get_run_logger().warning(say_missing(config.service, champion.version))
    release = Release(
        config.service,
        run_id,
        identity,
        data,
        baseline,
        champion.record,
        str(workspace),
        serves=champion.version,
        cause=cause,
        experiment=find_experiment(registry, run_id),
    )
    _record_opening(release)
    return release


def _record_opening(release: Release) -> None:
    """Record the release in the control store, where the status page reads it."""
    record = ReleaseRecord(
        release.service,
        release.run_id,
        release.experiment,
        str(flow_run.id),
        release.data.version,
        release.cause,
        datetime.now(UTC),
    )
    prepare_control().releases.open(record)


@effect
def close_release(release: Release, status: str) -> None:
    """Remove the scratch folder and end the registry run.

    In this order, because a run that is killed in between stays open, and the next run finds it.
    """
    remove_workspace(release.run_id)
    open_registry(find_home()).end_run(release.run_id, status)


def remove_workspace(run_id: str) -> None:
    """Remove the scratch folder of a release, if it exists."""
    shutil.rmtree(find_home().workspace(run_id), ignore_errors=True)


def _open_run(registry: Registry, identity: ReleaseIdentity, name: str, cause: str) -> str:
    """Open this flow run's registry run, or continue the one of an earlier attempt."""
    mine = {FLOW_RUN: str(flow_run.id), "sluice.release": identity.id}
    found = registry.find_run(identity.service, mine, "RUNNING")
    tags = {**identity.tags(), **mine, "sluice.cause": cause}
    tags["prefect.flow_run_url"] = str(flow_run.ui_url)
    return found or registry.start_run(identity.service, name, tags)


def _clear_lost(registry: Registry, service: str, run_id: str) -> None:
    """End the registry runs that killed releases left open, and remove their scratch folders.

    This run holds the service's lease, so no other open run is alive.
    """
    lost = registry.end_lost_runs(service, run_id)
    for each in lost:
        remove_workspace(each)
    if lost:
        get_run_logger().warning(
            "removed the remains of %d killed release%s: %s",
            len(lost),
            "s" if len(lost) > 1 else "",
            ", ".join(lost),
        )


def _find_baseline(version: int, champion: ModelVersionRef | None) -> int | None:
    """Return the version that new rows are compared with: the champion's, else the previous."""
    trained = champion.find_data_version() if champion else None
    if trained is not None and trained < version:
        return trained
    return version - 1 if version > 0 else None
