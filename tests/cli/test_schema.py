"""`sluice schema`: a table that grows gets new columns, names and kinds by one command."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sluice.adapters.control.store import open_control, prepare_control
from sluice.adapters.tables.delta import append_batch, read_changes, read_kinds, read_version
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import load_service
from sluice.control.watermark import Watermark
from sluice.home import CONFIGS, PROJECT, SUITES, Home
from support.releases.runs import run_sluice

pytestmark = pytest.mark.slow

CASES = PROJECT / "tests" / "cases"
AUTHOR = ("--by", "Ann", "--reason", "the feed changed")


class World:
    """A service in folders of its own, with its first file as version 0 of its table."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, Home(root / "home")
        for name in ("configs", "gx"):
            (root / name).mkdir(parents=True)
        for name in ("development.yaml", "production.yaml"):
            shutil.copy(CONFIGS / name, root / "configs")
        shutil.copy(SUITES / "great_expectations.yml", root / "gx")
        self.environment = {
            "SLUICE_CONFIGS": str(root / "configs"),
            "SLUICE_SUITES": str(root / "gx"),
        }

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return run_sluice(*words, home=self.home.root, **self.environment)

    def succeed(self, *words: str) -> str:
        ended = self.run(*words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def begin(self, file: Path, id_column: str) -> None:
        none = ("--sensitive", "none", "--reason", "made up")
        self.succeed(
            "init", str(file), "--target", "y", "--id", id_column, "--service", "shop", *none
        )

    def fill(self, file: Path) -> None:
        config = load_service("shop", "development", self.root / "configs")
        append_batch(self.table, read_batch(file, config.data), {"source": "x"}, config.data.id)

    @property
    def table(self) -> Path:
        return self.home.table("shop")

    @property
    def files(self) -> tuple[Path, Path]:
        return self.root / "configs" / "shop.yaml", self.root / "gx" / "expectations" / "shop.json"

    def read_files(self) -> tuple[str, str]:
        yaml, suite = (path.read_text(encoding="utf-8") for path in self.files)
        return yaml, re.sub(r'"id": "[0-9a-f-]+"', '"id": ""', suite)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service made from `first.csv`, with its rows in the table."""
    world = World(tmp_path_factory.mktemp("first"))
    world.begin(CASES / "first.csv", "row_id")
    world.fill(CASES / "first.csv")
    return world.root


@pytest.fixture
def shop(first: Path, tmp_path: Path) -> World:
    """A copy of that service, for one test."""
    world = World(tmp_path / "world")
    for name in ("configs", "gx", "home"):
        shutil.copytree(first / name, world.root / name, dirs_exist_ok=True)
    return world


def read_command(output: str) -> list[str]:
    """Return the command that a message tells to type, with a name and a reason."""
    found = re.search(r"`sluice (schema .*?)`", output)
    assert found, output
    typed = found[1].replace("NAME", "Ann").replace("WORDS", "'the feed changed'")
    return [*shlex.split(typed), "--yes"]


def test_a_new_column_is_let_in_by_the_command_of_the_refusal(api: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.begin(CASES / "first.csv", "row_id")
    world.succeed("ingest", "shop", str(CASES / "first.csv"))
    more = str(CASES / "one-column-more.csv")
    refused = world.run("ingest", "shop", more)
    assert refused.returncode == 2
    world.succeed(*read_command(refused.stdout))
    world.succeed("ingest", "shop", more)
    rows, data = read_version(world.table, "shop", 2, "row_id")
    assert data.rows == 2_400
    assert rows["extra"].null_count == 2_000
    assert "extra within" in world.succeed("expect", "shop")


def test_whole_numbers_become_numbers_by_the_command_of_the_refusal(
    api: str, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.begin(CASES / "12_whole_numbers_first.csv", "id")
    world.succeed("ingest", "shop", str(CASES / "12_whole_numbers_first.csv"))
    halves = str(CASES / "12_whole_numbers_first_batch2_halves.csv")
    refused = world.run("ingest", "shop", halves)
    command = read_command(refused.stdout)
    assert command[:5] == ["schema", "shop", "widen", "price", "number"]
    world.succeed(*command)
    world.succeed("ingest", "shop", halves)
    assert read_kinds(world.table)["price"] == "number"
    assert read_kinds(world.table, 0)["price"] == "integer"
    rows, _ = read_version(world.table, "shop", 2, "id")
    assert 94.5 in rows["price"].to_pylist()


def test_a_champion_from_before_the_changes_is_compared_with_the_candidate(
    api: str, shop: World, tmp_path: Path
) -> None:
    shop.succeed("release", "shop")
    shop.succeed("schema", "shop", "rename", "x", "size", "--yes", *AUTHOR)
    shop.succeed("schema", "shop", "widen", "k", "number", "--yes", *AUTHOR)
    more = CASES / "one-column-more.csv"
    add = ("schema", "shop", "add", "extra", "--from", str(more), "--feature")
    shop.succeed(*add, "--yes", *AUTHOR)
    batch = tmp_path / "batch.csv"
    pd.read_csv(more).rename(columns={"x": "size"}).assign(k=lambda rows: rows["k"] + 0.5).to_csv(
        batch, index=False
    )
    shop.succeed("ingest", "shop", str(batch))
    released = shop.run("release", "shop").stdout
    assert "the champion is older than a change of the schema: x -> size" in released
    assert "candidate" in released
    assert "champion" in released
    assert "DataInvalid" not in released


@pytest.mark.parametrize("folds", [0, 4])
def test_a_champion_whose_group_was_renamed_is_compared(
    api: str, shop: World, tmp_path: Path, folds: int
) -> None:
    path = shop.files[0]
    text = re.sub(r"\n  group:.*", "", path.read_text(encoding="utf-8"))
    text = text.replace("\nsplit:\n", f"\nsplit:\n  group: k\n  folds: {folds}\n")
    path.write_text(text, encoding="utf-8")
    first = shop.run("release", "shop").stdout
    assert "champion" in first, first
    shop.succeed("schema", "shop", "rename", "k", "household", "--yes", *AUTHOR)
    shop.succeed("schema", "shop", "rename", "x", "size", "--yes", *AUTHOR)
    batch, rows = tmp_path / "batch.csv", pd.read_csv(CASES / "one-column-more.csv")
    rows.drop(columns="extra").rename(columns={"x": "size", "k": "household"}).to_csv(
        batch, index=False
    )
    shop.succeed("ingest", "shop", str(batch))
    released = shop.run("release", "shop").stdout
    assert not re.search(r"DataInvalid|DataMissing|KeyError|Internal", released), released
    assert re.search(r"auc.*champion|champion.*auc", released), released


def test_nothing_changes_without_a_yes_and_the_change_is_shown(shop: World) -> None:
    before = shop.read_files()
    ended = shop.run("schema", "shop", "rename", "x", "size", *AUTHOR)
    assert ended.returncode == 2
    assert "ChoiceNeeded: nothing was changed" in ended.stdout
    assert "x -> size" in ended.stdout
    assert "+    size: number" in ended.stdout
    assert shop.read_files() == before
    assert read_changes(shop.table) == []


def test_comments_of_a_person_stay(shop: World) -> None:
    path = shop.files[0]
    text = path.read_text(encoding="utf-8") + "\n# a person's last word\n"
    path.write_text(text, encoding="utf-8")
    shop.succeed("schema", "shop", "rename", "x", "size", "--yes", *AUTHOR)
    old = [line for line in text.splitlines() if not re.search(r"\bx\b", line)]
    new = path.read_text(encoding="utf-8").splitlines()
    assert set(old) <= set(new)
    assert [line for line in new if line.strip().startswith("size: number")]


def test_who_changed_it_and_why_is_on_record(shop: World) -> None:
    shop.succeed("schema", "shop", "rename", "x", "size", "--yes", *AUTHOR)
    assert [item.author for item in read_changes(shop.table)] == ["Ann"]
    entry = open_control(shop.home).timeline.list_entries("shop")[0]
    assert (entry.action, entry.by, entry.reason) == ("schema", "Ann", "the feed changed")
    assert entry.message == "data version 1: x -> size"


def test_a_refused_delivery_is_read_again_and_no_release_starts(shop: World) -> None:
    marks = prepare_control(shop.home).watermarks
    for subject, mark in (("refused file a.csv", "1"), ("file b.csv", "2"), ("data version", "v0")):
        marks.move(marks.find("shop", subject), Watermark("shop", subject, mark))
    shop.succeed("schema", "shop", "rename", "x", "size", "--yes", *AUTHOR)
    found = marks.list_marks("shop")
    assert found["refused file a.csv"] != "1"
    assert found["file b.csv"] == "2"
    assert found["data version"] == "v1"


def test_a_change_that_is_refused_writes_nothing(shop: World) -> None:
    before = shop.read_files()
    ended = shop.run("schema", "shop", "drop", "nothing", "--yes", *AUTHOR)
    assert ended.returncode == 2, ended.stdout
    assert "found no such column" in ended.stdout
    assert shop.read_files() == before
    assert read_changes(shop.table) == []


def test_a_change_needs_a_name_and_a_reason(shop: World) -> None:
    ended = shop.run("schema", "shop", "rename", "x", "size", "--yes")
    assert ended.returncode == 2
    assert read_changes(shop.table) == []


KILLED = """
import os, sys
import tasks.data.evolution as evolution
from sluice.adapters import storage
from pathlib import Path
point = sys.argv.pop(1)
write, move, moved = evolution.write_whole, Path.replace, []
def replace(self, target):
    if point == "between" and moved:
        os._exit(9)
    if str(target).endswith(("shop.yaml", "shop.json")):
        moved.append(target)
    return move(self, target)
def write_whole(texts, mode, commit):
    def kill():
        if point == "before":
            os._exit(9)
        commit()
        if point == "after":
            os._exit(9)
        Path.replace = replace
    write(texts, mode, kill)
    if point == "files":
        os._exit(9)
evolution.write_whole = write_whole
sys.argv[0] = "sluice"
from cli.__main__ import main
main()
"""
CHANGES = {
    "rename": ("rename", "x", "size"),
    "widen": ("widen", "k", "number"),
    "drop": ("drop", "c"),
    "add": ("add", "extra", "--from", str(CASES / "one-column-more.csv"), "--feature"),
}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "point"),
    [
        ("rename", "before"),
        ("rename", "between"),
        ("rename", "files"),
        ("widen", "after"),
        ("drop", "between"),
        ("add", "after"),
    ],
)
def test_what_is_killed_is_completed_by_the_same_command(
    first: Path, shop: World, tmp_path: Path, change: str, point: str
) -> None:
    words = ["schema", "shop", *CHANGES[change], "--yes", *AUTHOR]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point, *words],
        env={**os.environ, "SLUICE_HOME": str(shop.home.root), **shop.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == 9, killed.stdout + killed.stderr
    shop.succeed(*words)
    whole = World(tmp_path / "whole")
    for name in ("configs", "gx", "home"):
        shutil.copytree(first / name, whole.root / name, dirs_exist_ok=True)
    whole.succeed(*words)
    assert shop.read_files() == whole.read_files()
    assert len(read_changes(shop.table)) == 1
    assert read_kinds(shop.table) == read_kinds(whole.table)
    entries = open_control(shop.home).timeline.list_entries("shop")
    assert [item.action for item in entries] == ["schema"]
    again = shop.run(*words)
    assert again.returncode == 2
    assert "nothing to change" in again.stdout


@pytest.mark.faults
def test_a_batch_is_refused_with_the_command_that_was_killed(shop: World) -> None:
    killed = ["schema", "shop", *CHANGES["rename"], "--yes", *AUTHOR]
    subprocess.run(
        [sys.executable, "-c", KILLED, "after", *killed],
        env={**os.environ, "SLUICE_HOME": str(shop.home.root), **shop.environment},
        capture_output=True,
        check=False,
    )
    other = shop.run("schema", "shop", "widen", "k", "number", "--yes", *AUTHOR)
    assert other.returncode == 2
    assert "`sluice schema shop rename x size" in other.stdout


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No test of the command alone tells the session's Prefect."""
    if "api" not in request.fixturenames:
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
