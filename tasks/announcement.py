"""Telling the world that a service's data changed: once a change, again where nobody answered."""

from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.tables.delta import count_rows, latest_version
from sluice.config.loading import hash_service
from sluice.config.service import ServiceConfig
from sluice.control.cause import DATA_CHANGED, name_data_cause
from sluice.control.watermark import Watermark, follow_change
from sluice.data.version import DataVersion
from sluice.errors import DataMissing, SluiceError
from sluice.home import find_home
from tasks.control import prepare_control
from tasks.events import tell_world

VERSION = "data version"
"""What the watermark of a service's own table is called."""


def announce_version(service: str, data: DataVersion) -> None:
    """Tell that this run wrote a version, unless another run told of it already.

    An event is a hint, so a control store that is away does not keep it back.
    """
    try:
        marks = prepare_control().watermarks
        seen = marks.find(service, VERSION)
        if seen.mark == f"v{data.version}":
            return
        told = seen.tell(f"v{data.version}", datetime.now(UTC))
        if not marks.move(seen, told):
            return
    except SluiceError as error:
        get_run_logger().warning("told, but not remembered as told: %s", error)
    tell_world(service, DATA_CHANGED, {"version": data.version, "rows": data.rows})


def announce_unanswered(config: ServiceConfig) -> str:
    """Tell of the newest version where no release answered it and no event told; say what was told.

    Empty where there was nothing to tell. Of two runs at once one tells.

    Raises:
        Fault: the table or the control store cannot be reached.
    """
    service, table = config.service, find_home().table(config.service)
    try:
        version = latest_version(table, service)
    except DataMissing:
        return ""
    control = prepare_control()
    seen = control.watermarks.find(service, VERSION)
    if seen == Watermark(service, VERSION, f"v{version}"):
        return ""
    key = name_data_cause(version, hash_service(config))
    answered = control.causes.find(service, DATA_CHANGED, key) is not None
    to = follow_change(seen, f"v{version}", answered, datetime.now(UTC))
    rows = 0 if to.announced is None else count_rows(table, version)
    if to == seen or not control.watermarks.move(seen, to) or to.announced is None:
        return ""
    tell_world(service, DATA_CHANGED, {"version": version, "rows": rows})
    return f"data version {version}{' again' if seen.mark == to.mark else ''}"
