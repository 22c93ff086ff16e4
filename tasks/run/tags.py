"""Tags by which the list of runs can be filtered."""

from prefect import get_client, get_run_logger
from prefect.runtime import flow_run

from sluice.control.cause import DATA_CHANGED, PROMPT_CHANGED
from sluice.errors import GateFailed, Refused, SluiceError
from sluice.home import environment_name

SUBJECTS = ("service", "prompt")
"""The parameters of flows that name a service; a prompt is one."""
CAUSES = (DATA_CHANGED, PROMPT_CHANGED)
"""The causes that are an event's name."""


def tag_start() -> None:
    """Tag the flow run with its service, its environment, and the event that started it."""
    given = flow_run.parameters
    services = [given[name] for name in SUBJECTS if given.get(name)]
    causes = [given["cause"]] if given.get("cause") in CAUSES else []
    tags = [*(f"service:{name}" for name in services), *(f"cause:{name}" for name in causes)]
    add_tags(*tags, f"environment:{environment_name()}")


def tag_failure(error: SluiceError) -> None:
    """Tag the flow run with its outcome: halted by a gate, refused, or a fault."""
    outcome = "halted" if isinstance(error, GateFailed) else "fault"
    add_tags(f"outcome:{'refused' if isinstance(error, Refused) else outcome}")


def add_tags(*tags: str) -> None:
    """Add tags to the flow run; if the server does not answer the run stays untagged."""
    try:
        with get_client(sync_client=True) as client:
            present = client.read_flow_run(flow_run.id).tags
            client.update_flow_run(flow_run.id, tags=[*{*present, *tags}])
    except Exception as error:  # a run must not fail because it could not be tagged
        get_run_logger().debug("the run stays untagged: %s", error)
