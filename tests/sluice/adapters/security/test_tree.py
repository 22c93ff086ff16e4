"""The project's tree: what is searched, what is kept, and that this one is clean."""

import os
import subprocess
from pathlib import Path

import pytest

from sluice.adapters.security import tree
from sluice.adapters.security.tree import list_files, search_trees
from sluice.config.security.gate import SecretsConfig, load_security
from sluice.home import CONFIGS, PROJECT, PROMPTS, SUITES, Home
from support.servers.images import add_search

KEY = "AKIA" + "QYLPMN5HFI3Z7ABC"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "prompts").mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    (root / "prompts" / "v1.yaml").write_text("system: be kind\n")
    return root


@pytest.fixture(autouse=True)
def _searched_by_no_test_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_SEARCHED", {})


def test_this_tree_is_clean(tmp_path: Path) -> None:
    config = load_security("production").secrets
    found = search_trees(add_search(Home(tmp_path)), config, (PROJECT, CONFIGS, SUITES, PROMPTS))
    assert found.findings == ()
    assert found.skipped == ()
    assert found.files > 1000


def test_a_planted_secret_is_found_in_code_and_in_a_prompt(project: Path, tmp_path: Path) -> None:
    home, config = Home(tmp_path / "home"), SecretsConfig()
    assert search_trees(home, config, [project]).findings == ()
    (project / "prompts" / "v1.yaml").write_text(f"system: use {KEY}\n")
    (project / "a.py").write_text(f"x = 1\nkey = '{KEY}'\n")
    found = search_trees(home, config, [project])
    assert [(item.file, item.line) for item in found.findings] == [
        ("a.py", 2),
        ("prompts/v1.yaml", 1),
    ]
    tree._SEARCHED.clear()
    assert search_trees(home, config, [project]) == found
    assert KEY not in (home.security / "searched.json").read_text()


def test_a_folder_elsewhere_is_searched_too(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "v2.yaml").write_text(KEY)
    roots = [project, project / "prompts", other, tmp_path / "none"]
    found = search_trees(Home(tmp_path / "home"), SecretsConfig(), roots)
    assert [item.file for item in found.findings] == [str(other / "v2.yaml")]
    assert found.files == 3


def test_git_says_which_files_are_the_projects(project: Path) -> None:
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "PATH": os.environ["PATH"]}
    subprocess.run(["git", "init", "-q", str(project)], check=True, env=git)
    (project / ".gitignore").write_text("*.env\n")
    (project / "local.env").write_text(KEY)
    names = {path.relative_to(project).as_posix() for path in list_files(project)}
    assert names == {".gitignore", "a.py", "prompts/v1.yaml"}


def test_without_git_all_files_but_the_state_are_searched(project: Path) -> None:
    (project / ".sluice").mkdir()
    (project / ".sluice" / "key").write_text(KEY)
    (project / "local.env").write_text(KEY)
    names = {path.relative_to(project).as_posix() for path in list_files(project)}
    assert names == {"a.py", "local.env", "prompts/v1.yaml"}


def test_what_is_left_out(project: Path, tmp_path: Path) -> None:
    (project / "b.lock").write_text(KEY)
    (project / "large.txt").write_text("x" * 3000 + KEY)
    (project / "binary").write_bytes(b"\0" + KEY.encode())
    (project / "link").symlink_to(project / "b.lock")
    config = SecretsConfig(exclude=("*.lock",), largest_file=2000)
    found = search_trees(Home(tmp_path / "home"), config, [project])
    assert found.findings == ()
    assert found.skipped == ("large.txt",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 1'])
def test_damaged_notes_are_searched_anew(project: Path, tmp_path: Path, text: str) -> None:
    home = Home(tmp_path / "home")
    home.security.mkdir(parents=True)
    (home.security / "searched.json").write_text(text)
    assert search_trees(home, SecretsConfig(), [project]).files == 2


def test_other_settings_search_anew(project: Path, tmp_path: Path) -> None:
    (project / "a.py").write_text(KEY)
    home, other = Home(tmp_path / "home"), SecretsConfig(detectors=("SlackDetector",))
    assert search_trees(home, other, [project]).findings == ()
    assert len(search_trees(home, SecretsConfig(), [project]).findings) == 1
