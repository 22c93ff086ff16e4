"""A wrong input is named in a message, has its exit code, and changes nothing."""

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.home import SAMPLES, SUITES, Home
from support.releases.runs import (
    artifacts_of,
    describe_state,
    ingest_year,
    run_sluice,
    text_of,
    write_service,
)
from support.servers.images import add_registry_database

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

PAGE_FITS = 110_000
"""Bytes: a validation page is smaller, a year's rows are larger."""


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    return pd.read_parquet(SAMPLES / "acs_employment_2016.parquet")


@pytest.fixture(scope="module")
def begun(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Return a state folder with an empty registry and data version 0: the survey of 2015."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("bad_input")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        assert ingest_year(2015).is_completed()
        yield Home(root)


def ingest_frame(frame: pd.DataFrame, path: Path) -> Any:
    from flows.ingest import ingest

    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return ingest("employment", str(path), return_state=True)


# Files that are no valid data are refused, and nothing of them is kept.


def spoil_cell(frame: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    spoiled = frame.head(600).astype({column: object})
    spoiled.loc[spoiled.index[10], column] = value
    return spoiled


REFUSED: dict[str, tuple[Any, str]] = {
    "csv with a wrong column": (
        lambda frame: frame.rename(columns={"education": "educaton"}),
        "column 'education' is missing (did you mean 'educaton'?)",
    ),
    "csv with only a header": (lambda frame: frame.head(0), "no rows, only column names"),
    "csv with text in a number": (
        lambda frame: spoil_cell(frame, "age", "forty"),
        "line 12: column 'age': found text 'forty', allowed: integer",
    ),
    "csv with half a year of age": (
        lambda frame: spoil_cell(frame, "age", 40.5),
        "row 11: column 'age': found 40.5, allowed: integer",
    ),
    "csv with an infinite number": (
        lambda frame: spoil_cell(frame, "age", "inf"),
        "row 11: column 'age': found inf, allowed: finite numbers",
    ),
    "csv with another word for yes": (
        lambda frame: spoil_cell(frame, "disability", "perhaps"),
        "line 12: column 'disability': found text 'perhaps', allowed: boolean",
    ),
    "csv with a row without id": (
        lambda frame: spoil_cell(frame, "person_id", ""),
        "column 'person_id': 1 rows have no id",
    ),
    "csv with an id twice": (
        lambda frame: pd.concat([frame.head(600), frame.head(2)]),
        "column 'person_id': 2 ids are given more than once (first: ",
    ),
    "csv without a sensitive column": (
        lambda frame: frame.drop(columns="sex"),
        "column 'sex' is missing; allowed columns: person_id, ",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_file_is_refused_with_line_column_and_what_is_allowed(
    name: str, begun: Home, survey: pd.DataFrame, tmp_path: Path
) -> None:
    spoil, words = REFUSED[name]
    before = describe_state(begun)
    path = tmp_path / "survey.csv"
    state = ingest_frame(spoil(survey), path)
    assert state.message.startswith(f"DataInvalid: {path}: ")
    assert words in state.message
    assert describe_state(begun) == before


@pytest.mark.parametrize("name", ["survey.xlsx", "survey", "folder.parquet", "nothing.parquet"])
def test_path_that_is_no_data_file_is_refused(name: str, begun: Home, tmp_path: Path) -> None:
    from flows.ingest import ingest

    path = tmp_path / name
    if name == "folder.parquet":
        path.mkdir()
    else:
        path.write_bytes(b"" if name == "nothing.parquet" else b"PK")
    before = describe_state(begun)
    state = ingest("employment", str(path), return_state=True)
    assert state.message.startswith(f"DataInvalid: {path}: ")
    assert describe_state(begun) == before


# Data that breaks a rule is halted by the gate and kept whole in quarantine.


def take_ids_of_2015(frame: pd.DataFrame) -> pd.DataFrame:
    known = pd.read_parquet(SAMPLES / "acs_employment_2015.parquet")["person_id"]
    repeated = frame.copy()
    repeated.loc[repeated.index[:10], "person_id"] = known.head(10).to_numpy()
    return repeated


HALTED: dict[str, tuple[Any, str]] = {
    "one class": (
        lambda frame: frame.assign(employed=1),
        "DataRejected: distribution of employed: PSI",
    ),
    "ids of the table": (
        take_ids_of_2015,
        "DataRejected: person_id new: 10 of 12,000 rows carry an id of the previous version",
    ),
    "too few rows": (
        lambda frame: frame.head(300),
        "DataRejected: new rows: 300 new rows, at least 1,200 expected after 12,000 previous rows",
    ),
    "sensitive column without values": (
        lambda frame: frame.assign(sex=None),
        "DataRejected: sex not null: 12,000 of 12,000 rows are null",
    ),
}


@pytest.mark.parametrize("name", sorted(HALTED))
def test_batch_is_halted_and_kept_whole(
    name: str, begun: Home, survey: pd.DataFrame, tmp_path: Path
) -> None:
    spoil, words = HALTED[name]
    frame = spoil(survey)
    before = describe_state(begun)
    state = ingest_frame(frame, tmp_path / "survey.parquet")
    assert state.message.startswith(words)
    assert "; next: " in state.message
    assert "employment-verdict-data" in artifacts_of(state)
    after = describe_state(begun)
    folders = {item.split("/")[0] for item in set(after["refused"]) - set(before["refused"])}
    assert len(folders) == 1
    kept = begun.quarantine("employment") / folders.pop()
    assert len(pd.read_parquet(kept / "batch.parquet")) == len(frame)
    assert json.loads((kept / "verdict.json").read_text())["source"].endswith("survey.parquet")
    assert {**after, "refused": 0} == {**before, "refused": 0}


def test_first_batch_is_held_to_the_same_rules(
    home: Home, survey: pd.DataFrame, tmp_path: Path
) -> None:
    state = ingest_frame(survey.assign(employed=1), tmp_path / "survey.parquet")
    assert state.message.startswith("EvidenceInsufficient: target leakage of age: not measured")
    assert not home.table("employment").exists()


def test_a_first_batch_may_be_too_small_for_a_release(
    home: Home, survey: pd.DataFrame, tmp_path: Path
) -> None:
    state = ingest_frame(survey.head(1000), tmp_path / "survey.parquet")
    assert state.result() == {"version": 0, "rows": 1000, "written": True}
    page = text_of(artifacts_of(state)["employment-verdict-data"].data)
    assert "1,000 rows so far, a release needs 5,000" in page


def test_missing_version_is_refused(begun: Home) -> None:
    from flows.release import release

    before = describe_state(begun)
    state = release("employment", data_version=7, return_state=True)
    assert state.message == (
        "DataMissing: employment: no data version 7; the table has only version 0"
    )
    assert describe_state(begun) == before


def test_single_class_that_came_past_the_gate_is_halted_by_the_release(
    home: Home, survey: pd.DataFrame, tmp_path: Path
) -> None:
    from flows.release import release
    from sluice.adapters.tables.delta import append_batch
    from sluice.adapters.tables.files import read_batch
    from sluice.config.loading import load_service

    config = load_service("employment", "development")
    path = tmp_path / "survey.parquet"
    survey.assign(employed=1).to_parquet(path, index=False)
    append_batch(home.table("employment"), read_batch(path, config.data), {}, config.data.id)
    state = release("employment", return_state=True)
    assert state.message.startswith("EvidenceInsufficient: target leakage of age: not measured")
    assert describe_state(home)["models"] == {}
    assert describe_state(home)["scratch"] == []


# Exit codes of whole commands.


def test_suite_that_is_missing_is_refused(begun: Home, tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    shutil.copytree(SUITES, suites)
    suite = suites / "expectations" / "employment.json"
    suite.rename(suite.with_name("wages.json"))
    before = describe_state(begun)
    file = SAMPLES / "acs_employment_2016.parquet"
    ended = run_sluice(
        "ingest", "employment", str(file), home=begun.root, SLUICE_SUITES=str(suites)
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    names = ", ".join(sorted(item.stem for item in suite.parent.glob("*.json")))
    message = f"ConfigInvalid: {suite}: no such expectation suite; there are: {names}\n"
    assert message in ended.stdout
    assert describe_state(begun) == before


def test_number_column_takes_no_text(begun: Home, tmp_path: Path, survey: pd.DataFrame) -> None:
    configs = tmp_path / "configs"
    write_service(configs, "work", ("    age: integer", "    age: number"))
    path = tmp_path / "survey.parquet"
    survey.assign(age=survey["age"].astype(str)).to_parquet(path, index=False)
    ended = run_sluice("ingest", "work", str(path), home=begun.root, SLUICE_CONFIGS=str(configs))
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert f"SchemaDiffers: {path}: column 'age': found text (such as '" in ended.stdout
    assert "allowed: number" in ended.stdout
    assert not begun.table("work").exists()


def test_gate_ends_the_command_with_one(begun: Home, survey: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "survey.parquet"
    survey.assign(education="nursery").to_parquet(path, index=False)
    before = describe_state(begun)
    ended = run_sluice("ingest", "employment", str(path), home=begun.root)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "DataRejected: education in set: 12,000 of 12,000 rows outside the set" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert describe_state(begun)["data"] == before["data"]


@pytest.mark.faults
def test_full_disk_is_refused_and_the_table_stays(begun: Home) -> None:
    before = describe_state(begun)
    file = SAMPLES / "acs_employment_2016.parquet"

    def leave_no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE_FITS, PAGE_FITS))

    ended = run_sluice("ingest", "employment", str(file), home=begun.root, before=leave_no_room)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "StorageFull: " in ended.stdout
    assert "a limit on file sizes; what was there is unchanged" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert describe_state(begun) == before


def test_same_file_goes_in_once_there_is_room(begun: Home) -> None:
    state = ingest_year(2016)
    assert state.is_completed(), state.message
    assert describe_state(begun)["data"][-1][:2] == (1, 24_000)
