"""The state folder, and what is written into it, is its owner's only."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.storage import PUBLIC, close_state, write_whole
from support.releases.runs import run_sluice


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_entries(root: Path) -> list[str]:
    places = [root, *root.rglob("*")]
    return [str(place) for place in places if place.stat().st_mode & 0o077]


def fill(root: Path) -> None:
    """A state folder as an older version left it: everybody reads it."""
    for name in ("traffic/answers/shop", "prefect", "data/shop"):
        (root / name).mkdir(parents=True)
        (root / name / "inputs.bin").write_bytes(b"ada")
    for name in ("control.db", "control.db-wal", "server.json"):
        (root / name).write_text("{}", encoding="utf-8")


def test_folder_that_was_open_is_closed_with_all_in_it(tmp_path: Path) -> None:
    root = tmp_path / "home"
    fill(root)
    assert len(open_entries(root)) == 13
    close_state(root)
    assert open_entries(root) == []
    assert (root / "traffic" / "answers" / "shop" / "inputs.bin").read_bytes() == b"ada"


def test_what_is_written_from_then_on_is_closed(tmp_path: Path) -> None:
    root = tmp_path / "home"
    close_state(root)
    assert not root.exists()
    fill(root)
    assert open_entries(root) == []


def test_strange_files_beside_the_state_and_what_links_lead_to_stay_as_they_are(
    tmp_path: Path,
) -> None:
    root, other = tmp_path / "home", tmp_path / "other"
    fill(root)
    other.mkdir()
    (root / "notes.txt").write_text("mine", encoding="utf-8")
    (root / "data" / "link").symlink_to(other)
    close_state(root)
    assert {Path(path).name for path in open_entries(root)} == {"notes.txt", "link"}
    assert stat.S_IMODE(other.stat().st_mode) == 0o755


@pytest.mark.parametrize("mode", [0o1777, 0o700])
def test_folder_of_all_and_folder_that_is_closed_are_left_alone(tmp_path: Path, mode: int) -> None:
    fill(tmp_path / "home")
    (tmp_path / "home").chmod(mode)
    before = open_entries(tmp_path / "home")
    close_state(tmp_path / "home")
    assert open_entries(tmp_path / "home") == before


def test_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.write_text("", encoding="utf-8")
    close_state(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_files_of_the_project_stay_readable_and_those_of_the_state_do_not(tmp_path: Path) -> None:
    close_state(tmp_path)
    write_whole({tmp_path / "routes.json": "[]"})
    write_whole({tmp_path / "shop.yaml": "service: shop"}, PUBLIC)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"routes.json": 0o600, "shop.yaml": 0o644}


@pytest.mark.parametrize(
    "module",
    ["serving", "serving.page", "serving.log.log_writer", "demo"],
)
def test_each_program_closes_the_state_folder_first(tmp_path: Path, module: str) -> None:
    """Each ends at once, by a wrong option or a wrong environment."""
    import subprocess

    fill(tmp_path)
    tmp_path.chmod(0o755)
    options = {"serving": ["--replica", "models"], "serving.page": ["--port", "0"]}
    code = (
        "import sys, runpy, sluice.adapters.storage as storage\n"
        "def close(root): print('closed', root); sys.exit(0)\n"
        "storage.close_state = close\n"
        "sys.argv[1:] = sys.argv[2:]\n"
        f"runpy.run_module({module!r}, run_name='__main__')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "--", *options.get(module, [])],
        env={**os.environ, "SLUICE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"closed {tmp_path}" in ended.stdout, ended.stderr


def test_every_command_closes_the_state_folder(tmp_path: Path) -> None:
    fill(tmp_path)
    tmp_path.chmod(0o755)
    run_sluice("policies", home=tmp_path)
    assert open_entries(tmp_path) == []
