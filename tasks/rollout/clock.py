"""An event for records of the traffic log that come from a clock which is ahead."""

from datetime import UTC, datetime

from sluice.adapters.control.store import Control
from sluice.adapters.tables.retention import read_retention, retention_path
from sluice.adapters.traffic.log import measure_hours
from sluice.control.watermark import follow_change
from sluice.data.retention import describe_ahead
from sluice.home import Home
from tasks.run.events import publish_event

CLOCK = "clock"
"""Subject of the watermark that has the hour which was announced last."""
NOT_AHEAD = "none"
"""The mark once no record is ahead any more."""


def announce_clock(control: Control, home: Home, service: str) -> bool:
    """Emit an event if the log-writer found records far after all others, and each half hour.

    Returns whether an event was emitted. Only services that have such records are named.

    Raises:
        Fault: the traffic log, its state of retention or the control store cannot be reached.
    """
    found = read_retention(retention_path(home))
    marks, seen = control.watermarks, control.watermarks.find(service, CLOCK)
    tables = (home.answers(service), home.shadows(service), home.feedback)
    if not found.ahead or not any(
        hour >= found.ahead for table in tables for hour in measure_hours(table)
    ):
        if seen.mark not in ("", NOT_AHEAD):
            marks.move(seen, seen.settle(NOT_AHEAD))
        return False
    to = follow_change(seen, found.ahead, handled=False, now=datetime.now(UTC))
    if to == seen or not marks.move(seen, to):
        return False
    reason, _, advice = describe_ahead(found).partition("; next: ")
    facts = {"reason": reason, "next": advice, "hour": found.ahead, "newest": found.newest}
    publish_event(service, "traffic.clock-ahead", facts)
    return True
