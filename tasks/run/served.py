"""The page of who served when, which is updated when that changes."""

from sluice.adapters.control.store import prepare_control
from sluice.adapters.served_history import read_periods
from sluice.production.page import describe_page, write_served
from tasks.run.artifacts import create_page


def publish_served(service: str) -> None:
    """Publish who served when and why, as an artifact that keeps its versions.

    Raises:
        Fault: the control store cannot be reached.
    """
    page = write_served(service, read_periods(prepare_control(), service))
    create_page(markdown=page, **describe_page(service))
