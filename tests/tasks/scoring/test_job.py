"""A batch prediction begins only where version, input and output fit."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prefect.logging import disable_run_logger
from pyarrow import parquet

from sluice.adapters.registry.client import open_registry
from sluice.errors import ChoiceNeeded, DataInvalid, DataMissing, PromotionRefused
from sluice.home import Home
from support.gateway.models import register_towns, write_towns
from support.releases.scoring import SERVICE, write_input
from support.releases.services import make_quick
from tasks.scoring.job import ScoringJob, ScoringRequest, open_job

pytestmark = pytest.mark.slow
CONFIG = make_quick().model_copy(update={"service": SERVICE})


def begin(folder: Path, **options: Any) -> ScoringJob:
    """Begin to score 100 rows."""
    write_input(folder / "in.parquet", 100)
    places = {"source": str(folder / "in.parquet"), "output": str(folder / "out")}
    with disable_run_logger():
        return open_job.fn(CONFIG, ScoringRequest(**{**places, **options}))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"version": 9}, DataMissing, "towns has no v9; next: `sluice show towns` lists"),
        ({"alias": "previous"}, DataMissing, "towns has no previous; next"),
        ({"version": 1, "alias": "candidate"}, ChoiceNeeded, "found version 1 and alias"),
        ({"keep": "nothing"}, DataInvalid, "column 'nothing' is missing"),
        ({"output": "out"}, DataInvalid, "found a relative path, allowed: an absolute path"),
        ({"source": "in.parquet"}, DataInvalid, "found a relative path"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(
    served: Home, tmp_path: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        begin(tmp_path, **options)
    assert not (tmp_path / "out").exists()


def test_the_output_cannot_be_the_input(served: Home, tmp_path: Path) -> None:
    with pytest.raises(ChoiceNeeded, match="it is the input"):
        begin(tmp_path, output=str(tmp_path / "in.parquet"))


def test_an_output_with_other_columns_is_refused(served: Home, tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(DataInvalid, match="next: another --output, or keep the same columns"):
        begin(tmp_path, keep="all")


def test_an_input_without_a_feature_names_file_and_column(served: Home, tmp_path: Path) -> None:
    rows = pa.table({"id": [1], "size": [0.5], "town": ["ayr"], "her": [True]})
    parquet.write_table(rows, tmp_path / "less.parquet")
    words = r"less\.parquet: column 'here' is missing \(did you mean 'her'\?\)"
    with pytest.raises(DataInvalid, match=words):
        begin(tmp_path, source=str(tmp_path / "less.parquet"))


def test_a_version_that_did_not_pass_its_gates_scores_nothing(served: Home, tmp_path: Path) -> None:
    towns = write_towns(tmp_path / "files")
    version = register_towns(open_registry(served), towns, SERVICE, verdicts={})
    with pytest.raises(PromotionRefused, match="carries no verdict"):
        begin(tmp_path, version=version.version)
    assert not (tmp_path / "out").exists()
