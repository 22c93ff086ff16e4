"""Making the store, migrating it, and what it says when it cannot be reached."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from sluice.adapters.control.database import Database
from sluice.adapters.control.migrations import MIGRATIONS, Step, migrate
from sluice.adapters.control.schema import METADATA
from sluice.adapters.control.store import open_control
from sluice.errors import ControlUnavailable, ControlUnusable
from sluice.home import Home
from support.pace import slowed
from support.servers.control import race

ALL = [step.number for step in MIGRATIONS]


def test_opening_makes_nothing(tmp_path: Path) -> None:
    open_control(Home(tmp_path / "home"))
    assert not (tmp_path / "home").exists()


def test_preparing_twice_does_nothing_the_second_time(store: Home) -> None:
    assert open_control(store).prepare() == ALL
    assert open_control(store).prepare() == []


def test_steps_make_the_tables_that_the_code_sees(store: Home) -> None:
    database = Database(store.control_url)
    migrate(database)
    with database.engine.connect() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == set(METADATA.tables)
        for name, table in METADATA.tables.items():
            columns = {item["name"]: item for item in found.get_columns(name)}
            assert list(columns) == [column.name for column in table.columns]
            for column in table.columns:
                kind = columns[column.name]["type"].python_type
                assert kind is column.type.python_type
            keys = found.get_pk_constraint(name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]


def test_steps_are_numbered_from_one_without_a_gap() -> None:
    assert list(range(1, len(MIGRATIONS) + 1)) == ALL


def test_a_store_of_an_earlier_step_is_brought_up_to_date(store: Home) -> None:
    assert migrate(Database(store.control_url), MIGRATIONS[:1]) == [1]
    control = open_control(store)
    lease = control.leases.acquire("employment", "release", "first", 15)
    assert control.prepare() == ALL[1:]
    assert control.leases.find("employment", "release") == lease


def test_a_newer_store_is_refused_and_left_alone(store: Home) -> None:
    newer = Step(ALL[-1] + 1, "of tomorrow", ("CREATE TABLE tomorrow (day INTEGER)",))
    migrate(Database(store.control_url), (*MIGRATIONS, newer))
    with pytest.raises(ControlUnusable, match=rf"schema step {newer.number}, .* up to {ALL[-1]}"):
        open_control(store).prepare()


def test_a_step_that_fails_leaves_the_store_as_it_was(store: Home) -> None:
    wrong = Step(2, "half", ("CREATE TABLE half (a INTEGER)", "CREATE TABLE leases (a INTEGER)"))
    database = Database(store.control_url)
    migrate(database, MIGRATIONS[:1])
    with pytest.raises(Exception, match="leases"):
        migrate(database, (MIGRATIONS[0], wrong))
    with database.engine.connect() as connection:
        assert "half" not in inspect(connection).get_table_names()
    assert open_control(store).prepare() == ALL[1:]


def test_processes_that_prepare_at_once_all_succeed(store: Home) -> None:
    assert set(race(store.root, "lease", 4)) <= {"True", "False"}
    database = Database(store.control_url)
    with database.engine.connect() as connection:
        done = connection.execute(text("SELECT number FROM schema_steps ORDER BY number"))
        assert list(done.scalars()) == ALL


def test_the_file_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    open_control(Home(tmp_path)).prepare()
    with closing(sqlite3.connect(tmp_path / "control.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.slow
def test_a_locked_file_is_a_fault_within_ten_seconds(tmp_path: Path) -> None:
    control = open_control(Home(tmp_path))
    control.prepare()
    with closing(sqlite3.connect(tmp_path / "control.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(ControlUnavailable, match="reading a lease: database is locked"):
            control.leases.find("employment", "release")
        assert time.monotonic() - began < slowed(10.5)
    assert control.leases.find("employment", "release").is_free


def test_a_damaged_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ControlUnavailable, match="file is not a database"):
        open_control(Home(tmp_path)).prepare()


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file stands in the way")
    with pytest.raises(ControlUnavailable, match="control store: "):
        open_control(Home(tmp_path / "home")).prepare()


@pytest.mark.parametrize(
    "url", ["no url", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "postgresql://host"]
)
def test_an_address_that_cannot_be_used_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_CONTROL_URL", url)
    with pytest.raises(ControlUnusable, match=r"SLUICE_CONTROL_URL .*allowed: sqlite:"):
        open_control(Home(tmp_path))


def test_a_password_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # pragma: allowlist nextline secret
    monkeypatch.setenv("SLUICE_CONTROL_URL", "mysql://user:secret@host/name")
    with pytest.raises(ControlUnusable) as refused:
        open_control(Home(tmp_path))
    assert "secret" not in str(refused.value)


def test_a_server_that_is_away_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    # pragma: allowlist nextline secret
    monkeypatch.setenv("SLUICE_CONTROL_URL", "postgresql://user:secret@127.0.0.1:1/name")
    began = time.monotonic()
    with pytest.raises(ControlUnavailable, match="refused") as fault:
        open_control(Home(tmp_path)).prepare()
    assert time.monotonic() - began < slowed(10)
    assert "secret" not in str(fault.value)
