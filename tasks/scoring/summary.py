"""The end of a batch prediction: its rows are counted in the output, and its page is published."""

from collections.abc import Sequence
from dataclasses import dataclass

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from sluice.adapters.sources.batch import check_same
from sluice.adapters.tables.scored import ScoredTable
from sluice.errors import DataUnavailable
from sluice.report.scoring import ScoringFacts, write_scoring
from tasks.run.artifacts import publish
from tasks.run.decorators import effect
from tasks.scoring.job import ScoringJob
from tasks.scoring.parts import PartResult


@dataclass(frozen=True)
class ScoredBatch:
    """A finished batch prediction: rows of the input, scored, set aside, and from before."""

    service: str
    version: int
    rows: int
    scored: int
    set_aside: int
    before: int
    output: str


@effect
def finish_job(job: ScoringJob, parts: Sequence[PartResult]) -> ScoredBatch:
    """Count the run's rows in the output, and publish its page.

    Raises:
        DataUnavailable: the input changed while it was scored, or the output lacks rows of this
            run or has too many.
        Fault: the tables cannot be reached.
    """
    check_same(job.source)
    scored = ScoredTable(job.output, job.key).count(job.version, job.scored_at)
    aside_table, aside = ScoredTable(job.set_aside, job.key), 0
    if aside_table.exists():
        aside = aside_table.count(job.version, job.scored_at)
    if scored + aside != job.source.rows:
        raise DataUnavailable(
            f"{job.output}: found {scored:,} scored rows and {aside:,} set aside of this run; the "
            f"input has {job.source.rows:,}; next: score it into another output"
        )
    before = sum(part.before for part in parts)
    done = ScoredBatch(job.service, job.version, job.source.rows, scored, aside, before, job.output)
    facts = ScoringFacts(
        job.service,
        job.version,
        job.source.uri,
        job.source.mark,
        job.output,
        job.set_aside,
        job.scored_at,
        job.source.rows,
        scored,
        aside,
        before,
    )
    publish(
        create_markdown_artifact,
        key=f"{job.service}-scores",
        markdown=write_scoring(facts),
        description=f"{scored:,} rows scored by {job.service} v{job.version}",
    )
    log = get_run_logger()
    log.info("%s of %s rows are in %s", f"{scored:,}", f"{job.source.rows:,}", job.output)
    if aside:
        log.warning("%s rows do not fit the model: %s", f"{aside:,}", job.set_aside)
    return done
