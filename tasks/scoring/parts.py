"""Scoring of one part of a batch: read, predict, append, each row once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from prefect import get_run_logger

from sluice.adapters.registry.served import ServedModel
from sluice.adapters.sources.batch import read_part
from sluice.adapters.tables.scored import ScoredTable
from sluice.errors import DataInvalid
from sluice.scoring.inputs import BadRow, make_frame, sift_inputs
from sluice.scoring.output import describe_output, write_bad_rows, write_rows
from sluice.scoring.plan import COMMIT_ROWS
from tasks.run.decorators import effect
from tasks.scoring.job import PartJob, ScoringJob, open_model

REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class PartResult:
    """What became of a part's rows in this attempt; `before` were done by an earlier one."""

    before: int
    scored: int
    set_aside: int


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Rows that become one commit, and the position in the part that they reach."""

    rows: pa.Table
    bad: tuple[BadRow, ...]
    position: int


@effect
def score_part(part: PartJob) -> PartResult:
    """Score the rows of a part that are not in the output yet; a killed attempt is continued.

    Raises:
        AnswerInvalid: the model gave an answer that is none.
        DataInvalid: a row does not fit, and such rows are refused.
        Fault: something outside cannot be reached.
    """
    job, log = part.job, get_run_logger()
    model = open_model(job.service, job.version, job.run_id)
    table, aside = ScoredTable(job.output, job.key), ScoredTable(job.set_aside, job.key)
    begun = table.find_position(part.part.index)
    if begun:
        log.info("part %d: %s rows are in the output", part.part.index + 1, f"{begun:,}")
    scored = refused = 0
    reported = time.monotonic()
    for chunk in _score_chunks(part, model, begun):
        if chunk.bad:
            _set_aside(aside, job, part.part.index, chunk)
        table.append(chunk.rows, part.part.index, chunk.position, datetime.now(UTC))
        scored, refused = scored + chunk.rows.num_rows, refused + len(chunk.bad)
        if time.monotonic() - reported > REPORT_SECONDS:
            reported, done = time.monotonic(), part.before + chunk.position
            log.info("%s of %s rows are done", f"{done:,}", f"{part.total:,}")
    return PartResult(begun, scored, refused)


def _score_chunks(part: PartJob, model: ServedModel, begun: int) -> Iterator[_Chunk]:
    """Yield the rows of a part behind its first `begun`, scored, a commit's at a time."""
    job, data, source = part.job, model.facts.data, part.part
    columns = list(dict.fromkeys((*data.features, *job.kept)))
    waiting, bad, position, schema = list[pa.Table](), list[BadRow](), begun, None
    for rows in read_part(job.source, source, columns, begun):
        if schema is None:
            schema = describe_output(rows.schema, job.kept, model.format, source.file)
        sifted = sift_inputs(rows, data, job.kept, source.file, source.first + position)
        position += rows.num_rows
        bad += sifted.bad
        answers = model.answer(make_frame(sifted.features, data))
        waiting.append(
            write_rows(sifted.kept, answers, model.format, schema, job.version, job.scored_at)
        )
        if sum(item.num_rows for item in waiting) + len(bad) >= COMMIT_ROWS:
            yield _Chunk(pa.concat_tables(waiting), tuple(bad), position)
            waiting, bad = [], []
    if waiting:
        yield _Chunk(pa.concat_tables(waiting), tuple(bad), position)


def _set_aside(table: ScoredTable, job: ScoringJob, index: int, chunk: _Chunk) -> None:
    """Append a chunk's bad rows, unless a killed attempt did before its rows were committed.

    Raises:
        DataInvalid: such rows are refused; the input was changed after it was checked.
        Fault: the table cannot be reached.
    """
    if job.bad_rows == "refuse":
        raise DataInvalid(f"{chunk.bad[0].describe()}; the input changed after it was checked")
    if table.find_position(index) < chunk.position:
        rows = write_bad_rows(chunk.bad, job.version, job.scored_at)
        table.append(rows, index, chunk.position, datetime.now(UTC))
