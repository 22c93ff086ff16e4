"""Tags by which the list of runs can be filtered."""

from prefect import get_client, get_run_logger
from prefect.runtime import flow_run

from sluice.errors import GateFailed, Refused, SluiceError
from sluice.home import environment_name


def tag_start() -> None:
    """Tag the flow run with its service and its environment."""
    service = flow_run.parameters.get("service")
    tags = [f"service:{service}"] if service else []
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
