"""The environment of a run, and the tags by which the list of runs can be filtered."""

import os

from prefect import get_client, get_run_logger
from prefect.runtime import flow_run

from sluice.errors import GateFailed, Refused, SluiceError


def environment_name() -> str:
    """Give the configuration overlay in force: `SLUICE_ENV`, else development."""
    return os.environ.get("SLUICE_ENV", "development")


def tag_start() -> None:
    """Tag the flow run with the service that it is about, and its environment."""
    service = flow_run.parameters.get("service")
    about = [f"service:{service}"] if service else []
    add_tags(*about, f"environment:{environment_name()}")


def tag_failure(error: SluiceError) -> None:
    """Tag the flow run with what kind of end it had: halted by a gate, refused, or a fault."""
    kind = "halted" if isinstance(error, GateFailed) else "fault"
    add_tags(f"outcome:{'refused' if isinstance(error, Refused) else kind}")


def add_tags(*tags: str) -> None:
    """Add tags to the flow run; without a server that answers it goes on untagged."""
    try:
        with get_client(sync_client=True) as client:
            present = client.read_flow_run(flow_run.id).tags
            client.update_flow_run(flow_run.id, tags=[*{*present, *tags}])
    except Exception as error:  # tags are for whoever looks; no run ends for want of one
        get_run_logger().debug("the run stays untagged: %s", error)
