"""A part of a batch that is cut off between its two commits is continued with no row twice."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from prefect.logging import disable_run_logger
from pyarrow import parquet

from sluice.adapters.sources import batch
from sluice.adapters.tables.scored import ScoredTable
from sluice.errors import DataInvalid, DataUnavailable
from sluice.home import Home
from support.releases.scoring import SERVICE, make_input
from support.releases.services import make_quick
from tasks.scoring import parts
from tasks.scoring.job import ScoringJob, ScoringRequest, open_job
from tasks.scoring.parts import PartResult, score_part

pytestmark = pytest.mark.slow
CONFIG = make_quick().model_copy(update={"service": SERVICE})


def open_batch(folder: Path) -> ScoringJob:
    """Begin to score 2,000 rows, of which every hundredth has an infinite number."""
    rows = make_input(2_000)
    rows.loc[::100, "size"] = np.inf
    table = pa.Table.from_pandas(rows, preserve_index=False)
    parquet.write_table(table, folder / "in.parquet", row_group_size=500)
    request = ScoringRequest(str(folder / "in.parquet"), str(folder / "out"), bad_rows="set-aside")
    with disable_run_logger():
        return open_job.fn(CONFIG, request)


def score(job: ScoringJob) -> list[PartResult]:
    with disable_run_logger():
        return [score_part.fn(part) for part in job.parts]


def test_a_cut_between_the_two_commits_sets_no_row_aside_twice(
    served: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "COMMIT_ROWS", 600)
    monkeypatch.setattr(batch, "BATCH_ROWS", 300)
    job = open_batch(tmp_path)
    append, calls = ScoredTable.append, list[str]()

    def fail_once(
        table: ScoredTable, rows: pa.Table, part: int, position: int, now: datetime
    ) -> None:
        calls.append(table.uri)
        if table.uri == job.output and calls.count(job.output) == 2:
            raise DataUnavailable("the disk is away")
        append(table, rows, part, position, now)

    monkeypatch.setattr(ScoredTable, "append", fail_once)
    with pytest.raises(DataUnavailable):
        score(job)
    result = score(job)
    assert sum(item.before for item in result) > 0
    scored = DeltaTable(job.output).to_pyarrow_table()["id"].to_pylist()
    aside = DeltaTable(job.set_aside).to_pyarrow_table()["row"].to_pylist()
    assert sorted(aside) == list(range(1, 2_001, 100))
    assert sorted(scored) == [number for number in range(2_000) if number % 100]


def test_a_row_that_became_bad_after_the_check_is_refused(served: Home, tmp_path: Path) -> None:
    from dataclasses import replace

    job = replace(open_batch(tmp_path), bad_rows="refuse")
    with pytest.raises(DataInvalid, match=r"row 1: .*the input changed after it was checked"):
        score(job)
