"""A file becomes a version whole, or not at all."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.adapters.tables.delta import latest_version, list_versions
from sluice.errors import DataMissing
from sluice.home import SAMPLES, Home
from support.releases.runs import artifacts_of, ingest_year
from support.servers.images import add_registry_database

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


def ingest_file(path: Path) -> Any:
    from flows.ingest import ingest

    return ingest("employment", str(path), return_state=True)


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    return pd.read_parquet(SAMPLES / "acs_employment_2016.parquet")


@pytest.fixture(scope="module")
def begun(api: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a state folder whose table has version 0: the survey of 2015."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("begun")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        assert ingest_year(2015).is_completed()
        yield Home(root)


def test_file_becomes_version_zero(begun: Home) -> None:
    versions = list_versions(begun.table("employment"), "employment")
    assert [(item.version, item.rows) for item in versions] == [(0, 12_000)]


def test_same_file_again_writes_nothing(begun: Home) -> None:
    state = ingest_year(2015)
    assert state.result() == {"version": 0, "rows": 12_000, "written": False}
    assert latest_version(begun.table("employment"), "employment") == 0


def test_csv_is_read_like_parquet(home: Home, survey: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "survey.csv"
    survey.to_csv(path, index=False)
    assert ingest_file(path).is_completed()
    assert list_versions(home.table("employment"), "employment")[0].rows == 12_000


def test_bad_batch_goes_to_quarantine_whole(
    begun: Home, survey: pd.DataFrame, tmp_path: Path
) -> None:
    broken = survey.copy()
    broken.loc[broken.index[:40], "education"] = "nursery"
    path = tmp_path / "broken.parquet"
    broken.to_parquet(path)
    state = ingest_file(path)
    assert state.message.startswith("DataRejected: ")
    assert latest_version(begun.table("employment"), "employment") == 0
    folder = next(begun.quarantine("employment").iterdir())
    assert len(pd.read_parquet(folder / "batch.parquet")) == 12_000
    assert json.loads((folder / "verdict.json").read_text())["outcome"] == "fail"
    bad = pd.read_csv(folder / "bad_rows.csv")
    assert set(bad["person_id"]) == set(broken["person_id"].head(40))
    page = artifacts_of(state)["employment-verdict-data"].data
    assert "# data gate: fail" in page
    assert page.index("**fail**") < page.index("**pass**")


def write(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path, index=False)
    return path


BAD = {
    "missing file": (lambda frame, path: path, "no such file"),
    "wrong column": (lambda frame, path: write(frame.rename(columns={"age": "aeg"}), path), "aeg"),
    "empty": (lambda frame, path: write(frame.head(0), path), "no rows"),
    "text in a number": (
        lambda frame, path: write(frame.assign(age=frame["age"].astype(str)), path),
        "age",
    ),
    "infinite": (
        lambda frame, path: write(
            frame.assign(age=frame["age"].astype(float) + float("inf")), path
        ),
        "age",
    ),
    "duplicate ids": (
        lambda frame, path: write(frame.assign(person_id=frame["person_id"].iloc[0]), path),
        "person_id",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_file_is_refused_and_nothing_is_written(
    name: str, begun: Home, survey: pd.DataFrame, tmp_path: Path
) -> None:
    make, word = BAD[name]
    before = sorted(begun.quarantine("employment").glob("*"))
    state = ingest_file(make(survey, tmp_path / "file.parquet"))
    assert state.message.startswith("DataInvalid: "), state.message
    assert word in state.message
    assert "file.parquet" in state.message
    assert latest_version(begun.table("employment"), "employment") == 0
    assert sorted(begun.quarantine("employment").glob("*")) == before


def test_truncated_parquet_is_refused(begun: Home, tmp_path: Path) -> None:
    content = (SAMPLES / "acs_employment_2016.parquet").read_bytes()
    path = tmp_path / "cut.parquet"
    path.write_bytes(content[: len(content) // 2])
    state = ingest_file(path)
    assert state.message.startswith("DataInvalid: ")
    assert "cut.parquet" in state.message


def test_unknown_service_is_refused(begun: Home) -> None:
    from flows.ingest import ingest

    state = ingest("nobody", "file.parquet", return_state=True)
    assert state.message.startswith("ServiceUnknown: no service 'nobody'")
    assert "employment" in state.message


def test_release_without_data_names_the_next_step(home: Home) -> None:
    from flows.release import release

    state = release("employment", return_state=True)
    assert state.message.startswith(f"{DataMissing.__name__}: ")
    assert "sluice ingest employment" in state.message
