"""Score many rows at once: Parquet or Delta in, Delta out."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.run.forms import ServiceName, Words
from tasks.run.mapping import map_parts
from tasks.run.names import name_scoring
from tasks.run.state import state_failure
from tasks.scoring.job import ScoringRequest, open_job
from tasks.scoring.parts import score_part
from tasks.scoring.summary import finish_job


@flow(
    name="score-batch",
    flow_run_name=name_scoring,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def score_batch(  # noqa: PLR0913 - a form has as many fields as choices
    service: ServiceName,
    *,
    source: Words,
    output: Words,
    version: Annotated[int, Field(ge=-1)] = -1,
    alias: Literal["champion", "candidate", "previous"] = "champion",
    keep: Words = "id",
    bad_rows: Literal["refuse", "set-aside"] = "refuse",
) -> dict[str, Any]:
    """Append predictions for every row of an input to a Delta table, each row once.

    A run that was killed is continued by the next one with the same input and version: what is in
    the output stays, and what is missing is added.

    Args:
        service: The service whose model predicts.
        source: Absolute path of a Parquet file or of a folder of them, or folder or URL of a Delta
            table.
        output: Absolute path or URL of the Delta table to append to; it is created if missing.
        version: Version of the model; -1 takes the alias.
        alias: Which version predicts, where no version is given.
        keep: Columns of the input to keep in the output; id, all, or names with commas between.
        bad_rows: What happens to a row that the model cannot read; refuse the input before anything
            is written, or set the row aside in a table of its own, with the reason.
    """
    config = load_service(service, environment_name())
    request = ScoringRequest(source, output, version, alias, keep, bad_rows)
    job = open_job(config, request)
    return asdict(finish_job(job, map_parts(score_part, job.parts)))
