import hashlib
import platform
import subprocess
from pathlib import Path

import pytest

from sluice.adapters.machine import read_code_version, read_environment
from sluice.identity import CodeVersion

UNKNOWN = CodeVersion("unknown", dirty=True)


def run_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    run_git(folder, "init", "--quiet")
    (folder / "code.py").write_text("a = 1\n")
    (folder / ".gitignore").write_text(".sluice/\n")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "--quiet", "-m", "start")
    return folder


def test_a_clean_checkout_gives_its_commit(checkout: Path) -> None:
    commit = run_git(checkout, "rev-parse", "HEAD")
    assert read_code_version(checkout) == CodeVersion(commit, dirty=False)


def test_a_changed_file_makes_it_dirty(checkout: Path) -> None:
    (checkout / "code.py").write_text("a = 2\n")
    assert read_code_version(checkout).dirty


def test_an_untracked_file_makes_it_dirty(checkout: Path) -> None:
    (checkout / "new.py").write_text("b = 1\n")
    assert read_code_version(checkout).dirty


def test_an_ignored_file_leaves_it_clean(checkout: Path) -> None:
    (checkout / ".sluice").mkdir()
    (checkout / ".sluice" / "state").write_text("x")
    assert not read_code_version(checkout).dirty


def test_a_folder_of_a_larger_checkout_has_its_commit(checkout: Path) -> None:
    (checkout / "part").mkdir()
    (checkout / "part" / "more.py").write_text("c = 1\n")
    run_git(checkout, "add", ".")
    run_git(checkout, "commit", "--quiet", "-m", "more")
    (checkout / "code.py").write_text("changed elsewhere\n")
    found = read_code_version(checkout / "part")
    assert found == CodeVersion(run_git(checkout, "rev-parse", "HEAD"), dirty=False)


def test_a_folder_that_another_checkout_merely_contains_is_unknown(checkout: Path) -> None:
    (checkout / ".sluice" / "copy").mkdir(parents=True)
    assert read_code_version(checkout / ".sluice" / "copy") == UNKNOWN


def test_a_folder_outside_any_checkout_is_unknown(tmp_path: Path) -> None:
    assert read_code_version(tmp_path) == UNKNOWN


def test_a_checkout_without_a_commit_is_unknown(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet")
    assert read_code_version(tmp_path) == UNKNOWN


def test_a_missing_folder_is_unknown(tmp_path: Path) -> None:
    assert read_code_version(tmp_path / "nowhere") == UNKNOWN


def test_without_git_the_commit_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert read_code_version(checkout) == UNKNOWN


def test_a_git_that_hangs_is_given_up(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec /bin/sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent))
    monkeypatch.setattr("sluice.adapters.machine.GIT_SECONDS", 0.2)
    assert read_code_version(checkout) == UNKNOWN


def test_a_hooks_git_dir_does_not_redirect(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = run_git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert read_code_version(checkout).commit == commit


def test_the_environment_names_lock_python_platform_and_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_bytes(b"numpy==2.2.0\n")
    monkeypatch.setenv("SLUICE_IMAGE", "sluice:1.2")
    found = read_environment(lock)
    assert found.lock_hash == hashlib.sha256(b"numpy==2.2.0\n").hexdigest()
    assert found.python == platform.python_version()
    assert found.platform
    assert found.image == "sluice:1.2"


def test_a_missing_lock_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_IMAGE", raising=False)
    found = read_environment(tmp_path / "requirements.lock")
    assert found.lock_hash == "unknown"
    assert found.image == ""
