"""The pages of an experiment: an artifact in Prefect, and a file in the state folder."""

import base64
from datetime import UTC, datetime
from pathlib import Path

from sluice.adapters.storage import explain_os_error, write_whole
from sluice.experiments.record import ExperimentRecord
from sluice.home import find_home
from sluice.plots.experiment import draw_power
from sluice.plots.style import render_png
from sluice.report.experiments.page import write_page
from sluice.report.experiments.summary import write_summary


def publish_record(record: ExperimentRecord) -> None:
    """Publish an experiment as it is now: the artifact `experiment-NAME`, and its HTML file.

    Raises:
        StorageFull: there is no room for the file.
        DataUnavailable: the folder cannot be written.
    """
    from tasks.run.artifacts import create_page, publish

    picture = draw_picture(record)
    page = write_summary(record, datetime.now(UTC), picture)
    write_report(record, picture)
    publish(create_page, **describe_page(record), markdown=page)


def write_report(record: ExperimentRecord, picture: str = "") -> Path:
    """Write an experiment's report as HTML into the state folder; return the file.

    Raises:
        StorageFull: there is no room for it.
        DataUnavailable: the folder cannot be written.
    """
    file = find_home().experiments / f"{record.key}.html"
    page = write_page(record, datetime.now(UTC), picture or draw_picture(record))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole({file: page})
    except OSError as error:
        raise explain_os_error(error, f"the report of {record.key}") from error
    return file


def draw_picture(record: ExperimentRecord) -> str:
    """Return the plot of the plan's power, a PNG as base64."""
    points = [(point.seconds, point.effect) for point in record.plan.curve if point.units]
    wanted = record.config.minimum_detectable_effect
    figure = draw_power(record.name, points, wanted, record.plan.seconds)
    return base64.b64encode(render_png(figure)).decode()


def describe_page(record: ExperimentRecord) -> dict[str, str]:
    """Return key and description of an experiment's artifact; the key is its history."""
    title = f"Experiment {record.name} of {record.service}: {record.phase}"
    return {"key": f"experiment-{record.name}", "description": title}
