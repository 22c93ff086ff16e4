"""Small batches through the real flow: taken, or in quarantine before the watermark moves."""

import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from sluice.adapters.control.store import open_control, prepare_control
from sluice.adapters.tables.delta import list_versions
from sluice.adapters.tables.quarantine import list_quarantined
from sluice.control.command import Author
from sluice.errors import ControlUnavailable
from sluice.home import Home
from support.releases.own_data import CASES, OwnWorld
from support.releases.runs import artifacts_of, run_sluice
from support.releases.sources import events_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]
FIRST = pd.read_csv(CASES / "11_small_increment.csv")
BATCH = pd.read_csv(CASES / "11_small_increment_batch2_150_rows.csv")


@pytest.fixture
def world(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnWorld:
    found = OwnWorld(tmp_path / "world", monkeypatch)
    found.init(CASES / "11_small_increment.csv", "y", service="small")
    return found


def take(source: object = "") -> Any:
    from flows.ingest import ingest

    return ingest("small", str(source), return_state=True)


def rows_of(home: Home) -> list[int]:
    return [item.rows for item in list_versions(home.table("small"), "small")]


def test_the_case_of_a_small_increment_is_taken(world: OwnWorld, home: Home) -> None:
    assert take(CASES / "11_small_increment.csv").is_completed()
    state = take(CASES / "11_small_increment_batch2_150_rows.csv")
    assert state.is_completed(), state.message
    assert rows_of(home) == [len(FIRST), len(FIRST) + 150]
    page = artifacts_of(state)["small-verdict-data"].data
    assert "judged at release" in page


def use_database(world: OwnWorld, path: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SMALL_DATABASE", f"sqlite:///{path}")
    file = world.configs / "small.yaml"
    values = yaml.safe_load(file.read_text())
    query = "SELECT id, x, c, y, id AS at FROM rows WHERE id > :since"
    values["source"] = {
        "kind": "sql", "url_variable": "SMALL_DATABASE", "query": query, "watermark": "at",
    }  # fmt: skip
    file.write_text(yaml.safe_dump(values))


def fill(path: Path, frame: pd.DataFrame) -> None:
    with sqlite3.connect(path) as connection:
        frame.to_sql("rows", connection, index=False, if_exists="append")
    connection.close()


def test_a_refused_pull_is_in_quarantine_before_its_watermark_moves(
    world: OwnWorld, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two reads the rows twice and loses none."""
    from tasks.data import ingestion
    from tasks.data.quarantine import accept_batch

    path = tmp_path / "small.db"
    use_database(world, path, monkeypatch)
    fill(path, FIRST)
    assert take().is_completed()
    fill(path, BATCH.head(30).assign(x=99.0))

    def die(*_: Any) -> None:
        raise ControlUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(ingestion, "remember_taken", die)
        patch.setattr(ingestion.validate_batch, "retries", 0)
        assert take().message.startswith("ControlUnavailable")
    (batch,) = list_quarantined(home.quarantine("small"))
    assert take().message.startswith("DataRejected")
    assert [item.name for item in list_quarantined(home.quarantine("small"))] == [batch.name]
    assert take().name == "Skipped"
    fill(path, BATCH.tail(1))
    assert take().is_completed()
    assert rows_of(home) == [len(FIRST), len(FIRST) + 1]
    author = Author("Ada", "a new sensor")
    accept_batch(prepare_control(), world.load("small"), batch.name, author)
    assert rows_of(home)[-1] == len(FIRST) + 31


def test_a_pull_that_dies_before_its_rows_are_appended_is_read_again(
    world: OwnWorld, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.data import ingestion

    path = tmp_path / "small.db"
    use_database(world, path, monkeypatch)
    fill(path, FIRST)

    def die(*_: Any) -> None:
        raise ControlUnavailable("killed")

    for name in ("append_batch", "remember_taken"):
        with monkeypatch.context() as patch:
            patch.setattr(ingestion, name, die)
            patch.setattr(ingestion.append_rows, "retries", 0)
            assert take().message.startswith("ControlUnavailable")
        assert open_control(home).watermarks.list_marks("small") == {}
    assert take().is_completed()
    assert rows_of(home) == [len(FIRST)]


def test_the_form_accepts_a_batch_and_announces_the_version(
    api: str, world: OwnWorld, home: Home, tmp_path: Path
) -> None:
    from flows.quarantine import quarantine

    assert take(CASES / "11_small_increment.csv").is_completed()
    path = tmp_path / "bad.csv"
    BATCH.assign(x=[99.0, *BATCH["x"][1:]]).to_csv(path, index=False)
    assert take(path).message.startswith("DataRejected")
    (batch,) = list_quarantined(home.quarantine("small"))
    words: dict[str, Any] = {"reason": "one broken sensor", "by": "Ada", "return_state": True}
    state = quarantine("small", batch=batch.short_name, answer="accept-good-rows", **words)
    assert state.is_completed(), state.message
    assert (state.result()["rows"], rows_of(home)[-1]) == (149, len(FIRST) + 149)
    payloads = [event["payload"] for event in events_of(api, "small")]
    assert payloads[-1] == {"version": 1, "rows": len(FIRST) + 149}
    again = quarantine("small", batch=batch.short_name, answer="drop", **words)
    assert again.message.startswith("CommandRefused: batch ")


def test_a_release_passes_over_accepted_rows(world: OwnWorld, home: Home, tmp_path: Path) -> None:
    from flows.release import release
    from tasks.data.quarantine import accept_batch

    assert take(CASES / "11_small_increment.csv").is_completed()
    path = tmp_path / "bad.csv"
    BATCH.assign(x=99.0).to_csv(path, index=False)
    assert take(path).message.startswith("DataRejected")
    (batch,) = list_quarantined(home.quarantine("small"))
    author = Author("Ada", "another unit")
    accept_batch(prepare_control(), world.load("small"), batch.name, author)
    page = artifacts_of(release("small", return_state=True))["small-verdict-data"].data
    assert "# data gate: pass" in page
    assert "150 rows were accepted by a person" in page


def test_the_quarantine_is_listed_and_decided_from_the_terminal(
    world: OwnWorld, home: Home, tmp_path: Path
) -> None:
    assert take(CASES / "11_small_increment.csv").is_completed()
    for at, rows in enumerate((BATCH.head(80).assign(x=99.0), BATCH.tail(70).assign(x=98.0))):
        path = tmp_path / f"bad-{at}.csv"
        rows.to_csv(path, index=False)
        state = take(path)
        assert "`sluice expect small edit " in state.message
        assert "`sluice quarantine accept small " in state.message
    variables = {"SLUICE_CONFIGS": str(world.configs), "SLUICE_SUITES": str(world.suites)}

    def run(*words: str) -> tuple[int, str]:
        ended = run_sluice("quarantine", *words, home=home.root, **variables)
        return ended.returncode, " ".join((ended.stdout + ended.stderr).split())

    first, second = (item.short_name for item in list_quarantined(home.quarantine("small")))
    code, text = run("list", "small")
    assert code == 0
    assert first in text
    assert "waiting" in text
    assert run("accept", "small", first, "--by", "Ada", "--reason", " ")[0] == 2
    code, text = run("accept", "small", first, "--by", "Ada", "--reason", "a new sensor")
    assert (code, "80 of 80 rows are in data version 1" in text) == (0, True), text
    code, text = run("drop", "small", second, "--by", "Bob", "--reason", "a broken sensor")
    assert (code, "70 rows stays out of the table" in text) == (0, True), text
    code, text = run("list", "small")
    assert "accepted" in text
    assert "dropped" in text
    ended = run_sluice("history", "small", home=home.root, **variables)
    assert "quarantine-accept" in ended.stdout
    assert "a broken sensor" in " ".join(ended.stdout.split())
