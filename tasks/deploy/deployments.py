"""Check a deployments file against the flows, and apply it to the Prefect server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.exceptions import MissingFlowError
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate
from pydantic import ValidationError

from sluice.adapters.server.api import POOL, is_healthy
from sluice.config.deployments import (
    MARK,
    Deployment,
    Deployments,
    Parameters,
    Schedule,
    Trigger,
    read_deployments,
)
from sluice.config.yaml_file import Location, find_line
from sluice.errors import ConfigInvalid, DeploymentRefused, ServerUnavailable
from sluice.home import PROJECT
from tasks.deploy.notifications import apply_notifications, check_notifications, settle_left
from tasks.deploy.pages import describe_pages
from tasks.deploy.pools import prepare_pool
from tasks.deploy.schedules import is_quiet, silence

Finding = tuple[Location, str]


def check_flows(file: Path, content: Deployments) -> list[str]:
    """Return the deployments as `flow/deployment`, in the file's order, if all are valid.

    Raises:
        ConfigInvalid: an entrypoint does not import, the flow has no such parameter or does not
            allow its value, a schedule or trigger cannot be read, or a name occurs twice.
    """
    names: list[str] = []
    findings: list[Finding] = []
    for index, entry in enumerate(content.deployments):
        place: Location = ("deployments", index)
        flow = _load_flow(entry.entrypoint)
        if isinstance(flow, str):
            findings.append(((*place, "entrypoint"), flow))
            continue
        name = f"{flow.name}/{entry.name}"
        if name in names:
            findings.append(((*place, "name"), f"'{name}' is deployed above already"))
        names.append(name)
        findings += [((*place, *inner), text) for inner, text in _check_entry(entry, flow)]
    if findings:
        raise ConfigInvalid("\n".join(_describe(file, *finding) for finding in findings))
    return names


def _describe(file: Path, location: Location, text: str) -> str:
    key = ".".join(str(part) for part in location)
    return f"{file}:{find_line(file, location)}: {key}: {text}"


def _load_flow(entrypoint: str) -> "Flow[Any, Any] | str":
    """Return the flow, or the reason why it cannot be loaded."""
    allowed = "allowed: the module path of a flow, such as flows.release.release"
    if "." not in entrypoint:
        return f"found '{entrypoint}'; {allowed}"
    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except MissingFlowError:
        return f"there is no flow at '{entrypoint}'; {allowed}"
    except Exception as error:  # a module may raise anything while it is imported
        return f"'{entrypoint}' does not import: {error}; {allowed}"


def _check_entry(entry: Deployment, flow: "Flow[Any, Any]") -> Iterator[Finding]:
    schema = parameter_schema(flow).model_dump_for_openapi()
    yield from _check_variables(entry)
    yield from _check_parameters(("parameters",), entry.parameters, schema)
    for number, schedule in enumerate(entry.schedules):
        place: Location = ("schedules", number)
        yield from _check_schedule(place, schedule)
        yield from _check_parameters((*place, "parameters"), schedule.parameters, schema)
        yield from _check_complete(place, {**entry.parameters, **schedule.parameters}, schema)
    for number, trigger in enumerate(entry.triggers):
        place = ("triggers", number)
        yield from _check_trigger(place, trigger)
        yield from _check_parameters((*place, "parameters"), trigger.parameters, schema)
        yield from _check_complete(place, {**entry.parameters, **trigger.parameters}, schema)


def _check_variables(entry: Deployment) -> Iterator[Finding]:
    """Find variables of runs in our pool, which has none: no run sets command or environment."""
    if entry.work_pool.name != POOL:
        return
    places: list[tuple[Location, Parameters]] = [
        (("work_pool", "job_variables"), entry.work_pool.job_variables),
        *(
            (("triggers", number, "job_variables"), trigger.job_variables)
            for number, trigger in enumerate(entry.triggers)
        ),
    ]
    for place, variables in places:
        if variables:
            found = ", ".join(variables)
            yield (
                place,
                f"found {found}; allowed: none, since no run in the pool '{POOL}' sets them; next:"
                " set them where the worker starts, or name another pool",
            )


def _check_parameters(
    place: Location, values: Parameters, schema: dict[str, Any]
) -> Iterator[Finding]:
    """Find parameters that the flow does not have, and values that it does not allow."""
    known = schema["properties"]
    for key in values:
        if key not in known:
            yield (*place, key), f"the flow has no such parameter; allowed: {', '.join(known)}"
    plain = {key: value for key, value in values.items() if key in known and not _is_filled(value)}
    for error in validate(plain, schema, ignore_required=True):
        yield (*place, *error.absolute_path), error.message


def _check_complete(
    place: Location, values: Parameters, schema: dict[str, Any]
) -> Iterator[Finding]:
    """Find parameters that a scheduled or triggered run would lack."""
    missing = [key for key in schema.get("required", []) if key not in values]
    if missing:
        yield (*place, "parameters"), f"the flow needs {', '.join(missing)}, which nothing sets"


def _check_schedule(place: Location, schedule: Schedule) -> Iterator[Finding]:
    zone = {"timezone": schedule.timezone} if schedule.timezone else {}
    try:
        if schedule.cron is not None:
            CronSchedule.model_validate({"cron": schedule.cron, **zone})
        elif schedule.interval is not None:
            IntervalSchedule.model_validate({"interval": schedule.interval, **zone})
        else:
            RRuleSchedule.model_validate({"rrule": schedule.rrule, **zone})
    except ValidationError as error:
        for detail in error.errors():
            found = f"; found {detail['input']!r}"
            allowed = "" if detail["loc"] != ("cron",) else '; allowed: such as "0 3 * * 1"'
            yield (*place, *detail["loc"]), _strip(detail["msg"]) + found + allowed


def _check_trigger(place: Location, trigger: Trigger) -> Iterator[Finding]:
    from jinja2 import Environment, TemplateSyntaxError
    from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger

    try:
        DeploymentEventTrigger.model_validate(trigger.model_dump())
    except ValidationError as error:
        for detail in error.errors():
            yield (*place, *detail["loc"]), _strip(detail["msg"])
    for key, value in trigger.parameters.items():
        try:
            if isinstance(value, str):
                Environment(autoescape=True).parse(value)
        except TemplateSyntaxError as error:
            yield (*place, "parameters", key), f"not readable as a template: {error.message}"


def _is_filled(value: object) -> bool:
    """Whether the server fills in the value, or part of it, when the event arrives."""
    if isinstance(value, dict):
        return "__prefect_kind" in value or any(_is_filled(item) for item in value.values())
    if isinstance(value, list):
        return any(_is_filled(item) for item in value)
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _strip(message: str) -> str:
    return message.removeprefix("Value error, ")


PAGE = 200
LAST_LINES = 6
"""How many lines of Prefect's output an error message has."""
DEPLOY_SECONDS = 600.0
Report = Callable[[str], None]


def deploy_file(
    file: Path, report: Report, prune: bool = False, *, quiet: bool = False
) -> list[str]:
    """Apply a file's deployments and notifications to the server; return `flow/deployment` names.

    The file is checked against the flows and secrets are read first, so that a wrong file changes
    nothing. Deployments with our tag that are no longer in the file are reported, or removed with
    `prune`. What had been switched off by hand and is on again is reported. With `quiet`, the
    schedules of `watch` and `keeper` are off: the local stack looks instead of them.

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
            prepare_pool(client, pool, report)
        before = _find_off(client, names, quiet)
        _run_deploy(file)
        _complete(client, names)
        for name in names:
            report(f"deployed {name}")
        if quiet:
            _silence(client, names, report)
        _report_switches(before, _find_off(client, names, quiet), report)
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


def _run_deploy(file: Path) -> None:
    """Run Prefect's own command on the file; print its output only if it fails."""
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
            "fix that and deploy again; deployments that were applied stay as they are"
        )


def _complete(client: SyncPrefectClient, names: list[str]) -> None:
    """Refuse parameters that a form does not have, and link each description to its artifacts.

    Prefect would start such a run, which fails later.
    """
    for name, found in _read_marked(client).items():
        if name in names:
            schema = {**(found.parameter_openapi_schema or {}), "additionalProperties": False}
            pages = describe_pages(name.partition("/")[0])
            text = "\n\n".join(filter(None, (found.description, pages)))
            update = DeploymentUpdate(parameter_openapi_schema=schema, description=text)
            client.update_deployment(found.id, update)


def _silence(client: SyncPrefectClient, names: list[str], report: Report) -> None:
    """Switch off the schedules that the local stack keeps itself."""
    marked = _read_marked(client).items()
    silenced = [
        name
        for name, found in marked
        if name in names and is_quiet(found) and silence(client, found)
    ]
    if silenced:
        report(
            f"the schedules of {' and '.join(sorted(silenced))} are off: the local stack looks at"
            " those times, and a run starts when there is something to do"
        )


def _find_off(client: SyncPrefectClient, names: list[str], quiet: bool) -> set[str]:
    """Return what is switched off: schedules, triggers or whole deployments."""
    off = set()
    for name, found in _read_marked(client).items():
        if name not in names:
            continue
        off |= {name} if found.paused else set()
        for item in [] if quiet and is_quiet(found) else found.schedules:
            label = item.slug or str(getattr(item.schedule, "cron", "without a slug"))
            off |= set() if item.active else {f"{name}: schedule '{label}'"}
        for automation in client.read_resource_related_automations(_resource(found)):
            off |= set() if automation.enabled else {f"{name}: trigger '{automation.name}'"}
    return off


def _report_switches(before: set[str], after: set[str], report: Report) -> None:
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
    """Report or remove deployments with our tag in the file's pools that are not in the file."""
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
    """Return the server's deployments with our tag, by `flow/deployment`."""
    marked = DeploymentFilter(tags=DeploymentFilterTags(all_=[MARK]))
    found: list[DeploymentResponse] = []
    while len(page := _read_page(client, marked, len(found))) == PAGE:
        found += page
    flows = {item.flow_id: "" for item in found + page}
    names = {identity: client.read_flow(identity).name for identity in flows}
    return {f"{names[item.flow_id]}/{item.name}": item for item in found + page}


def _read_page(
    client: SyncPrefectClient, selected: DeploymentFilter, offset: int
) -> list[DeploymentResponse]:
    return client.read_deployments(deployment_filter=selected, limit=PAGE, offset=offset)


def _resource(deployment: DeploymentResponse) -> str:
    return f"prefect.deployment.{deployment.id}"
