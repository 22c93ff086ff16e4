"""Rows of each kind of source pass the gate once, and are appended as they were judged."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import write_deltalake

from sluice.adapters.control.store import open_control
from sluice.adapters.tables.delta import list_versions
from sluice.home import Home
from support.releases.runs import logs_of
from support.releases.sources import configure, events_of, fill_sqlite, rows_of, use_folder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]
FIRST, SECOND = rows_of(2015), rows_of(2016)
QUERY = "SELECT * FROM people WHERE updated_at > :since"


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an own folder of services."""
    folder = tmp_path / "configs"
    use_folder(folder, monkeypatch)
    return folder


def take(service: str, source: object = "") -> Any:
    from flows.ingest import ingest

    return ingest(service, str(source), return_state=True)


def versions(home: Home, service: str) -> list[tuple[int, int]]:
    found = list_versions(home.table(service), service)
    return [(item.version, item.rows) for item in found]


def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "people.db"
    monkeypatch.setenv("PEOPLE_DATABASE", f"sqlite:///{path}")
    return path


def test_each_new_file_of_a_folder_is_one_version(
    api: str, home: Home, services: Path, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    configure(services, "dropped", kind="files", path=str(drop))
    FIRST.to_parquet(drop / "2015.parquet", index=False)
    assert take("dropped").is_completed()
    SECOND.to_csv(drop / "2016.csv", index=False)
    assert take("dropped").is_completed()
    assert versions(home, "dropped") == [(0, 1500), (1, 3000)]
    again = take("dropped")
    assert (again.name, again.message) == ("Skipped", "nothing new in the source of dropped")
    announced = [event["payload"] for event in events_of(api, "dropped")]
    assert announced == [{"version": 0, "rows": 1500}, {"version": 1, "rows": 3000}]
    assert not (home.root / "work").exists() or not list((home.root / "work").iterdir())


def test_a_file_that_is_no_data_does_not_hide_the_files_behind_it(
    home: Home, services: Path, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    configure(services, "mixed", kind="files", path=str(drop))
    FIRST.to_parquet(drop / "2015.parquet", index=False)
    (drop / "notes.csv").write_text("no,data\n1,2\n")
    SECOND.to_csv(drop / "2016.csv", index=False)
    for place, name in enumerate(("2015.parquet", "notes.csv", "2016.csv")):
        os.utime(drop / name, (10**9 + place, 10**9 + place))
    for _ in range(2):
        state = take("mixed")
        assert state.is_failed()
        assert "none of the service's columns" in str(state.message)
        assert versions(home, "mixed") == [(0, 1500), (1, 3000)]


def test_a_file_of_the_source_that_was_ingested_by_hand_is_not_ingested_again(
    home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "byhand", kind="files", path=str(tmp_path / "2015.parquet"))
    FIRST.to_parquet(tmp_path / "2015.parquet", index=False)
    assert take("byhand", tmp_path / "2015.parquet").is_completed()
    assert take("byhand").name == "Skipped"


def test_new_rows_of_a_delta_table_are_ingested(home: Home, services: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    configure(services, "lake", kind="delta", uri=str(lake))
    write_deltalake(str(lake), FIRST)
    assert take("lake").is_completed()
    write_deltalake(str(lake), SECOND, mode="append")
    state = take("lake")
    assert state.result() == {"version": 1, "rows": 3000, "written": True}
    assert "1,500 rows are in the table already: left out" in logs_of(state)
    assert take("lake").name == "Skipped"


def test_a_delta_table_is_ingested_by_hand(home: Home, services: Path, tmp_path: Path) -> None:
    configure(services, "plain")
    write_deltalake(str(tmp_path / "lake"), FIRST)
    assert take("plain", tmp_path / "lake").result()["rows"] == 1500
    state = take("plain", tmp_path / "lake")
    assert state.result() == {"version": 0, "rows": 1500, "written": False}


def test_a_query_returns_rows_newer_than_its_watermark(
    home: Home, services: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = people(tmp_path, monkeypatch)
    source = {"url_variable": "PEOPLE_DATABASE", "query": QUERY, "watermark": "updated_at"}
    configure(services, "queried", kind="sql", **source)
    fill_sqlite(path, FIRST, "2024-01-01 00:00:00")
    assert take("queried").result() == {"version": 0, "rows": 1500, "written": True}
    assert take("queried").name == "Skipped"
    fill_sqlite(path, SECOND, "2024-01-02 00:00:00")
    state = take("queried")
    assert state.result() == {"version": 1, "rows": 3000, "written": True}
    assert not any("left out" in line for line in logs_of(state))


def test_a_row_that_changed_in_a_pull_is_left_out_with_a_warning(
    home: Home, services: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = people(tmp_path, monkeypatch)
    columns = ", ".join(FIRST.columns)
    query = f"SELECT {columns} FROM people"
    configure(services, "pulled", kind="sql", url_variable="PEOPLE_DATABASE", query=query)
    fill_sqlite(path, FIRST, "")
    assert take("pulled").is_completed()
    changed = FIRST.head(2).assign(age=99)
    pd.concat([changed, FIRST.tail(1498), SECOND]).assign(updated_at="").to_sql(
        "people", f"sqlite:///{path}", index=False, if_exists="replace"
    )
    state = take("pulled")
    assert state.result() == {"version": 1, "rows": 3000, "written": True}
    first = ", ".join(str(value) for value in changed["person_id"])
    warning = next(line for line in logs_of(state) if "other values" in line)
    assert warning.startswith("2 rows have a person_id that the table has with other values")
    assert f"(first: {first})" in warning


def test_a_row_that_changed_in_a_file_is_refused(
    home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "plain")
    FIRST.to_parquet(tmp_path / "a.parquet", index=False)
    assert take("plain", tmp_path / "a.parquet").is_completed()
    pd.concat([FIRST.head(1).assign(age=99), SECOND]).to_parquet(
        tmp_path / "b.parquet", index=False
    )
    state = take("plain", tmp_path / "b.parquet")
    assert state.message.startswith("DataRejected: person_id new: 1 of 1,501 rows carry an id")


def test_rows_of_a_file_that_the_table_has_are_left_out(
    home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "plain")
    FIRST.to_parquet(tmp_path / "a.parquet", index=False)
    assert take("plain", tmp_path / "a.parquet").is_completed()
    pd.concat([FIRST, SECOND]).to_parquet(tmp_path / "b.parquet", index=False)
    assert take("plain", tmp_path / "b.parquet").result()["rows"] == 3000


def test_appended_rows_are_the_judged_rows(
    home: Home, services: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is overwritten between the gate and the append."""
    from flows import ingest as module

    configure(services, "plain")
    file = tmp_path / "a.parquet"
    FIRST.to_parquet(file, index=False)
    judge = module.pass_gate

    def judge_and_spoil(*arguments: Any) -> Any:
        verdict = judge(*arguments)
        FIRST.head(3).to_parquet(file, index=False)
        return verdict

    monkeypatch.setattr(module, "pass_gate", judge_and_spoil)
    assert take("plain", file).result()["rows"] == 1500


def test_a_quarantined_pull_is_not_pulled_again_and_can_be_ingested_by_hand(
    home: Home, services: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    configure(services, "lake", kind="delta", uri=str(lake))
    write_deltalake(str(lake), FIRST.assign(education="nursery"))
    state = take("lake")
    assert state.message.startswith("DataRejected: ")
    kept = next(home.quarantine("lake").iterdir()) / "batch.parquet"
    assert f"once repaired: sluice ingest lake {kept}" in logs_of(state)
    assert take("lake").name == "Skipped"
    pd.read_parquet(kept).assign(education=FIRST["education"]).to_parquet(kept, index=False)
    assert take("lake", kept).result() == {"version": 0, "rows": 1500, "written": True}


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no such column": (
        {"query": "SELECT wealth FROM people"},
        "DataInvalid: PEOPLE_DATABASE: the database refuses the query: no such column: wealth",
    ),
    "missing columns": (
        {"query": "SELECT person_id FROM people"},
        "DataInvalid: PEOPLE_DATABASE: column 'survey_year' is missing; column 'age' is missing",
    ),
    "missing variable": (
        {"query": "SELECT 1", "url_variable": "NO_DATABASE"},
        "ConfigInvalid: the environment variable NO_DATABASE is not set",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_an_error_of_a_query_is_named_and_nothing_is_written(
    name: str, home: Home, services: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_sqlite(people(tmp_path, monkeypatch), FIRST.head(3), "")
    changes, words = REFUSED[name]
    configure(services, "queried", **{"kind": "sql", "url_variable": "PEOPLE_DATABASE", **changes})
    state = take("queried")
    assert state.message.startswith(words)
    assert not home.table("queried").exists()


def test_a_service_without_a_source_names_the_next_step(home: Home, services: Path) -> None:
    configure(services, "plain")
    state = take("plain")
    assert state.message.startswith("ConfigInvalid: plain: no file was named and")
    assert "sluice ingest plain FILE" in state.message


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry one task without the waits of a minute in all."""
    from tasks.data.ingestion import find_deliveries

    monkeypatch.setattr(find_deliveries, "retry_delay_seconds", [0.0] * 6)


@pytest.mark.usefixtures("quick_retries")
def test_a_database_that_does_not_answer_is_retried(
    home: Home, services: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    # pragma: allowlist nextline secret
    monkeypatch.setenv("PEOPLE_DATABASE", "postgresql://me:hidden@127.0.0.1:1/people")
    configure(services, "away", kind="sql", url_variable="PEOPLE_DATABASE", query="SELECT 1")
    state = take("away")
    assert state.message.startswith("DataUnavailable: PEOPLE_DATABASE: the database: ")
    lines = "\n".join(logs_of(state))
    assert "Retry 6/6" in lines
    assert "hidden" not in lines
    assert open_control(home).watermarks.list_marks("away") == {}
