"""What a deployments file says, held against the flows: before anything changes on a server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.exceptions import MissingFlowError
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate
from pydantic import ValidationError

from sluice.config.deployments import Deployment, Deployments, Parameters, Schedule, Trigger
from sluice.config.yaml_file import Location, find_line
from sluice.errors import ConfigInvalid

Finding = tuple[Location, str]


def check_flows(file: Path, content: Deployments) -> list[str]:
    """Name the deployments as `flow/deployment`, in the file's order, if all could run.

    Raises:
        ConfigInvalid: an entrypoint does not import, a parameter is none of its flow's or not
            allowed, a schedule or trigger cannot be read, or a name is there twice.
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
    """Load a flow, or say why it cannot be."""
    allowed = "allowed: the module path of a flow, such as flows.release.release"
    if "." not in entrypoint:
        return f"found '{entrypoint}'; {allowed}"
    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except MissingFlowError:
        return f"no flow stands at '{entrypoint}'; {allowed}"
    except Exception as error:  # a module may raise anything while it is imported
        return f"'{entrypoint}' does not import: {error}; {allowed}"


def _check_entry(entry: Deployment, flow: "Flow[Any, Any]") -> Iterator[Finding]:
    schema = parameter_schema(flow).model_dump_for_openapi()
    yield from _check_parameters(("parameters",), entry.parameters, schema)
    for number, schedule in enumerate(entry.schedules):
        place: Location = ("schedules", number)
        yield from _check_rhythm(place, schedule)
        yield from _check_parameters((*place, "parameters"), schedule.parameters, schema)
        yield from _check_complete(place, {**entry.parameters, **schedule.parameters}, schema)
    for number, trigger in enumerate(entry.triggers):
        place = ("triggers", number)
        yield from _check_trigger(place, trigger)
        yield from _check_parameters((*place, "parameters"), trigger.parameters, schema)
        yield from _check_complete(place, {**entry.parameters, **trigger.parameters}, schema)


def _check_parameters(
    place: Location, values: Parameters, schema: dict[str, Any]
) -> Iterator[Finding]:
    """Find parameters that the flow does not have, and values that it does not take."""
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
    """Find what a run that nobody starts by hand would lack."""
    missing = [key for key in schema.get("required", []) if key not in values]
    if missing:
        yield (*place, "parameters"), f"the flow needs {', '.join(missing)}, which nothing gives"


def _check_rhythm(place: Location, schedule: Schedule) -> Iterator[Finding]:
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
    """Whether the server fills the value in, or part of it, when the event comes."""
    if isinstance(value, dict):
        return "__prefect_kind" in value or any(_is_filled(item) for item in value.values())
    if isinstance(value, list):
        return any(_is_filled(item) for item in value)
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _strip(message: str) -> str:
    return message.removeprefix("Value error, ")
