"""Names of runs in the list: service, subject, cause."""

from pathlib import PurePath

from prefect.runtime import deployment, flow_run

from sluice.adapters.moves import name_terminal
from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.delta import latest_version
from sluice.control.retraining import SCHEDULE
from sluice.control.retraining_event import (
    MOST_LETTERS,
    SUBJECTS,
    clean_text,
    unpack_payload,
)
from sluice.errors import CauseInvalid, SluiceError
from sluice.home import find_home
from tasks.run.forms import ALL, LATEST


def name_ingest() -> str:
    """Name a run of `ingest` by its service and its source."""
    given = flow_run.parameters
    source = str(given.get("source", ""))
    shown = source if "://" in source else PurePath(source).name
    return f"{given['service']} {shown or 'from its source'}"


def name_scoring() -> str:
    """Name a batch prediction by its service, its input, and the version or alias."""
    given = flow_run.parameters
    version = int(given.get("version", LATEST))
    model = given.get("alias", "champion") if version == LATEST else f"v{version}"
    return f"{given['service']} {PurePath(str(given['source'])).name} by {model}"


def name_release() -> str:
    """Name a release by its service, its data version and its cause."""
    given = flow_run.parameters
    service, version = given["service"], given.get("data_version", LATEST)
    if version == LATEST:
        try:
            version = latest_version(find_home().table(service), service)
        except SluiceError:  # the release itself will report what is wrong with the data
            return f"{service} {given.get('cause', '')}".strip()
    return f"{service} data v{version} {given.get('cause', '')}".strip()


def name_prompt_release() -> str:
    """Name a release of a prompt by the prompt, its version and its cause."""
    given = flow_run.parameters
    return f"{given['prompt']} v{given['version']} {given.get('cause', '')}".strip()


def name_retrain() -> str:
    """Name a decision on retraining by its service, the event, and what the event is about."""
    given = flow_run.parameters
    try:
        payload = unpack_payload(given.get("payload") or {})
    except CauseInvalid:  # the run itself says what is wrong
        payload = {}
    subject = next((str(payload[key]) for key in SUBJECTS.values() if key in payload), "")
    subject = clean_text(subject)[:MOST_LETTERS]
    parts = (given.get("service", ALL), given.get("event", SCHEDULE), subject)
    return " ".join(filter(None, parts))


def name_promote() -> str:
    """Name a promotion by its service and its version."""
    service = flow_run.parameters["service"]
    return f"{service} {_name_candidate(service)}".strip()


def name_decision() -> str:
    """Name a decision by its service, its version and the answer."""
    given = flow_run.parameters
    service, version = given["service"], int(given.get("version", LATEST))
    subject = _name_candidate(service) if version == LATEST else f"v{version}"
    return " ".join(filter(None, (service, subject, str(given["decision"]))))


def name_rollout() -> str:
    """Name a rollout by its service, its candidate, and whether it is continued."""
    given = flow_run.parameters
    service, version = given["service"], int(given.get("version", LATEST))
    subject = _name_candidate(service) if version == LATEST else f"v{version}"
    return " ".join(filter(None, (service, subject, "continued" if given.get("resume") else "")))


def name_command() -> str:
    """Name a command by its service, its action or version, and the person."""
    given = flow_run.parameters
    subject = f"v{given['version']}" if "version" in given else given.get("action", "")
    return " ".join(filter(None, (given["service"], str(subject), f"by {given['by']}")))


def name_reproduction() -> str:
    """Name a reproduction by its service or prompt, and the version."""
    given = flow_run.parameters
    return f"{given['service']} v{given['version']}"


def name_experiment() -> str:
    """Name a run of `experiment` by the experiment, the step, and the person where one decides."""
    given = flow_run.parameters
    parts = [given["name"], given["step"]]
    if given["step"] == "decide":
        parts += [given.get("decision", ""), f"by {given.get('by', '')}"]
    return " ".join(str(part) for part in parts if part)


def name_drift() -> str:
    """Name a run of `detect-drift` by its service, and what a person asked for."""
    given = flow_run.parameters
    file = PurePath(str(given.get("file", ""))).name
    parts = (given.get("service", "all"), str(given.get("window", "")), file)
    return " ".join(filter(None, parts))


def name_origin() -> str:
    """Return from where this run was started: a terminal, or a deployment of Prefect."""
    run = f"{flow_run.flow_name} run {flow_run.id}"
    return f"Prefect, {run}" if deployment.id else f"{name_terminal()}, {run}"


def _name_candidate(service: str) -> str:
    try:
        found = open_registry(find_home()).find_alias(service, "candidate")
    except SluiceError:  # the flow itself will report what is wrong with the registry
        return ""
    return f"v{found.version}" if found else ""
