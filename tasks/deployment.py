"""Bringing a deployments file to the Prefect server that the environment names."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from sluice.adapters.server.health import is_healthy
from sluice.config.deployments import MARK, Deployments, read_deployments
from sluice.errors import DeploymentRefused, ServerUnavailable
from sluice.home import PROJECT
from tasks.deployment_check import check_flows
from tasks.notification_check import check_notifications
from tasks.notifications import apply_notifications, settle_left

POOL = "sluice"
PAGE = 200
LAST_LINES = 6
"""How much of what Prefect printed is told when it fails."""
DEPLOY_SECONDS = 600.0
Report = Callable[[str], None]


def deploy_file(file: Path, report: Report, prune: bool = False) -> list[str]:
    """Bring every deployment of a file to the server, each once; name them as `flow/deployment`.

    Its notifications follow. The file is held against the flows first, and secrets are read, so
    that a wrong one changes nothing. What carries our tag and left the file is named, or removed
    with `prune`; so is what had been switched off by hand and is on again.

    Raises:
        ConfigInvalid: the file is wrong, or a secret is missing; the message names line, key and
            what is allowed.
        ServerUnavailable: no server answers.
        DeploymentRefused: a work pool is missing, or Prefect did not take a deployment.
    """
    content = read_deployments(file)
    names = check_flows(file, content)
    _confirm_server()
    notifications = check_notifications(file, content)
    with get_client(sync_client=True) as client:
        for pool in sorted({entry.work_pool.name for entry in content.deployments}):
            _prepare_pool(client, pool, report)
        before = _find_off(client, names)
        _run_deploy(file)
        _close_forms(client, names)
        for name in names:
            report(f"deployed {name}")
        _tell_switches(before, _find_off(client, names), report)
        _settle_leavers(client, content, names, report, prune)
        flows = {name.partition("/")[0] for name in names}
        apply_notifications(client, notifications, flows, report)
        settle_left(client, notifications, report, prune)
    return names


def _confirm_server() -> None:
    api = PREFECT_API_URL.value()
    if not api:
        raise ServerUnavailable("no Prefect server is named; next: set PREFECT_API_URL")
    if not is_healthy(api):
        raise ServerUnavailable(
            f"no Prefect server answers at {api}; next: start it, or set PREFECT_API_URL"
        )


def _prepare_pool(client: SyncPrefectClient, name: str, report: Report) -> None:
    """Make our pool of processes if it is missing; any other must be there."""
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound as error:
        if name != POOL:
            raise DeploymentRefused(
                f"the work pool '{name}' does not exist; next: `prefect work-pool create {name}"
                f" --type ...`, or use '{POOL}', which is made"
            ) from error
        made = WorkPoolCreate(name=name, type="process", base_job_template=_process_template())
        client.create_work_pool(made)
        report(f"made the work pool '{name}'")
        return
    if pool.type == "process" and _find_stream(pool.base_job_template).get("default", True):
        report(
            f"the work pool '{name}' has stream_output on: flow runs die with their worker; next:"
            f" set it to false at {name} > Edit > Base Job Template"
        )


def _process_template() -> dict[str, Any]:
    """Give Prefect's own template, but for output: a run must outlive its worker."""
    from prefect.workers.process import ProcessWorker

    template: dict[str, Any] = ProcessWorker.get_default_base_job_template()
    _find_stream(template)["default"] = False
    return template


def _find_stream(template: dict[str, Any]) -> dict[str, Any]:
    properties = template.get("variables", {}).get("properties", {})
    found: dict[str, Any] = properties.get("stream_output", {})
    return found


def _run_deploy(file: Path) -> None:
    """Let Prefect's own command deploy the file; its output is told only if it fails."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    try:
        ended = subprocess.run(  # noqa: S603
            [*command, "--prefect-file", str(file)],
            cwd=PROJECT,
            env={**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeploymentRefused(
            f"Prefect's deploy did not end in {DEPLOY_SECONDS:.0f} s"
        ) from error
    if ended.returncode:
        _confirm_server()
        printed = (ended.stdout + ended.stderr).strip().splitlines()
        said = " / ".join(line.strip(" │╭╰─╮╯") for line in printed[-LAST_LINES:])
        raise DeploymentRefused(
            f"Prefect's deploy of {file.name} ended with code {ended.returncode}: {said}; next: "
            "mend that and deploy again, deployments that were taken stay as they are"
        )


def _close_forms(client: SyncPrefectClient, names: list[str]) -> None:
    """Have a parameter that no form has refused; Prefect would take it and fail the run later."""
    for name, found in _read_marked(client).items():
        if name in names:
            schema = {**(found.parameter_openapi_schema or {}), "additionalProperties": False}
            client.update_deployment(found.id, DeploymentUpdate(parameter_openapi_schema=schema))


def _find_off(client: SyncPrefectClient, names: list[str]) -> set[str]:
    """Name what is switched off at these deployments: schedules, triggers, or all of one."""
    off = set()
    for name, found in _read_marked(client).items():
        if name not in names:
            continue
        off |= {name} if found.paused else set()
        for item in found.schedules:
            label = item.slug or str(getattr(item.schedule, "cron", "without a slug"))
            off |= set() if item.active else {f"{name}: schedule '{label}'"}
        for automation in client.read_resource_related_automations(_resource(found)):
            off |= set() if automation.enabled else {f"{name}: trigger '{automation.name}'"}
    return off


def _tell_switches(before: set[str], after: set[str], report: Report) -> None:
    for switch in sorted(before - after):
        report(
            f"{switch} was switched off and is on again; next: switch it off again, or write it"
            " into the file (`active: false`, `enabled: false`, `paused: true`)"
        )
    for switch in sorted(after):
        report(f"{switch} is switched off and stays so")


def _settle_leavers(
    client: SyncPrefectClient, content: Deployments, names: list[str], report: Report, prune: bool
) -> None:
    """Name, or remove, what carries our tag, runs in the file's pools and is not in the file."""
    pools = {entry.work_pool.name for entry in content.deployments}
    for name, found in sorted(_read_marked(client).items()):
        if name in names or found.work_pool_name not in pools:
            continue
        if not prune:
            report(f"{name} is on the server and left the file; next: `sluice deploy --prune`")
            continue
        client.delete_resource_owned_automations(_resource(found))
        client.delete_deployment(found.id)
        report(f"removed {name}, which left the file")


def _read_marked(client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """Give the server's deployments that carry our tag, by `flow/deployment`."""
    marked = DeploymentFilter(tags=DeploymentFilterTags(all_=[MARK]))
    found: list[DeploymentResponse] = []
    while len(page := _read_page(client, marked, len(found))) == PAGE:
        found += page
    flows = {item.flow_id: "" for item in found + page}
    names = {identity: client.read_flow(identity).name for identity in flows}
    return {f"{names[item.flow_id]}/{item.name}": item for item in found + page}


def _read_page(
    client: SyncPrefectClient, wanted: DeploymentFilter, offset: int
) -> list[DeploymentResponse]:
    return client.read_deployments(deployment_filter=wanted, limit=PAGE, offset=offset)


def _resource(deployment: DeploymentResponse) -> str:
    return f"prefect.deployment.{deployment.id}"
