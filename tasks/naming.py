"""What runs are called in the list: service, data version, cause."""

from pathlib import PurePath

from prefect.runtime import flow_run

from sluice.adapters.tables.delta import latest_version
from sluice.errors import SluiceError
from sluice.home import find_home
from tasks.release import LATEST


def name_ingest() -> str:
    """Name a run of `ingest` by its service and what it takes in."""
    given = flow_run.parameters
    source = str(given.get("source", ""))
    shown = source if "://" in source else PurePath(source).name
    return f"{given['service']} {shown or 'from its source'}"


def name_release() -> str:
    """Name a release by its service, its data version and its cause."""
    given = flow_run.parameters
    service, version = given["service"], given.get("data_version", LATEST)
    if version == LATEST:
        try:
            version = latest_version(find_home().table(service), service)
        except SluiceError:  # the release itself will say what is wrong with the data
            return f"{service} {given.get('cause', '')}".strip()
    return f"{service} data v{version} {given.get('cause', '')}".strip()
