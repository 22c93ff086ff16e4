"""The state folder, and what is written into it, is its owner's only."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.storage import PUBLIC, close_state, write_whole
from sluice.home import PROJECT
from support.releases.runs import run_sluice
from support.servers.forks import run_code


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


INHERITING = {
    "sluice/adapters/server/guard.py": "a part of the stack starts it",
    "serving/process/worker.py": "the gateway starts it",
    "serving/process/fetcher.py": "the gateway starts it",
    "serving/process/version_fetch.py": "the fetcher starts it",
    "cli/__main__.py": "has a test of its own",
    "demo/loop/play.py": "`demo.loop` starts it",
    "demo/prompts/play.py": "`demo.prompts` starts it",
    "demo/prompts/live/callers.py": "`demo.prompts` starts it",
    "demo/prompts/live/provider.py": "`demo.prompts` starts it, and it writes nothing",
    "tasks/reproduction/evaluate_prompt.py": "the reproduction starts it",
    "tasks/reproduction/train_model.py": "the reproduction starts it",
    "sluice/adapters/llm/local_server.py": "its caller starts it, and it writes nothing",
    "demo/replay.py": "writes nothing but the file that a person names",
}
"""Programs that do not close the state folder themselves, with the reason."""
OPTIONS = {
    "serving": ["--replica", "models"],
    "serving.page": ["--port", "0"],
    "demo.faulty": ["employment", "nan"],
}


def list_programs() -> list[str]:
    """Return every module that is a program, but for those that inherit a closed umask."""
    found = [
        file.relative_to(PROJECT)
        for room in ("sluice", "tasks", "flows", "cli", "serving", "demo")
        for file in sorted((PROJECT / room).rglob("*.py"))
        if '__name__ == "__main__"' in file.read_text(encoding="utf-8")
    ]
    own = [file for file in found if str(file) not in INHERITING]
    return [".".join(file.with_suffix("").parts).removesuffix(".__main__") for file in own]


@pytest.mark.parametrize("module", list_programs())
def test_each_program_closes_the_state_folder_first(tmp_path: Path, module: str) -> None:
    """Each ends at once, where it would close the folder."""
    fill(tmp_path)
    tmp_path.chmod(0o755)
    code = (
        "import sys, runpy, sluice.adapters.storage as storage\n"
        "def close(root): print('closed', root); sys.exit(0)\n"
        "storage.close_state = close\n"
        "sys.argv[1:] = sys.argv[2:]\n"
        f"runpy.run_module({module!r}, run_name='__main__')\n"
    )
    environment = {**os.environ, "SLUICE_HOME": str(tmp_path)}
    ended = run_code(code, ["--", *OPTIONS.get(module, [])], environment)
    assert f"closed {tmp_path}" in ended.stdout, ended.stderr


def test_a_flow_that_somebody_elses_worker_runs_closes_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.run import state

    fill(tmp_path)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setattr(state, "tag_start", lambda: None)
    assert state.state_failure(lambda: open_entries(tmp_path))() == []


def test_every_command_closes_the_state_folder(tmp_path: Path) -> None:
    fill(tmp_path)
    tmp_path.chmod(0o755)
    run_sluice("policies", home=tmp_path)
    assert open_entries(tmp_path) == []
