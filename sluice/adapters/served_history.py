"""The history of production, read from the control store."""

from sluice.adapters.control.store import Control
from sluice.production.served import ServedPeriod, list_periods


def read_periods(control: Control, service: str) -> list[ServedPeriod]:
    """Return each time in which a version served or was on trial, newest first.

    Raises:
        ControlUnavailable: the control store cannot be reached.
    """
    return list_periods(
        control.timeline.list_served(service),
        control.timeline.list_entries(service),
        control.rollouts.list_trials(service),
    )
