"""A commit is checked out beside the project's tree, which stays as it is."""

from pathlib import Path

import pytest

from sluice.adapters.reproduction.checkout import open_checkout
from sluice.errors import CommitLost, NotReproducible
from support.reproduction.project import commit_all, git, make_repository


def test_a_commit_is_given_as_it_was_and_removed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    first = make_repository(project, {"a.txt": "one"})
    (project / "a.txt").write_text("two", encoding="utf-8")
    commit_all(project)
    (project / "a.txt").write_text("three", encoding="utf-8")
    with open_checkout(project, first, tmp_path) as found:
        assert (found / "a.txt").read_text(encoding="utf-8") == "one"
    assert not found.exists()
    assert (project / "a.txt").read_text(encoding="utf-8") == "three"
    assert git(project, "worktree", "list").count("\n") == 0


def test_a_project_below_its_repository_is_found(tmp_path: Path) -> None:
    commit = make_repository(tmp_path / "mono", {"ml/sluice/a.txt": "one"})
    with open_checkout(tmp_path / "mono" / "ml" / "sluice", commit, tmp_path) as found:
        assert (found / "a.txt").read_text(encoding="utf-8") == "one"


def test_hooks_of_the_project_do_not_run(tmp_path: Path) -> None:
    project = tmp_path / "project"
    commit = make_repository(project, {"a.txt": "one"})
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n", encoding="utf-8")
    hook.chmod(0o755)
    with open_checkout(project, commit, tmp_path):
        pass
    assert not (tmp_path / "ran").exists()


def test_a_checkout_is_removed_after_an_error(tmp_path: Path) -> None:
    project = tmp_path / "project"
    commit = make_repository(project, {"a.txt": "one"})
    with pytest.raises(ZeroDivisionError), open_checkout(project, commit, tmp_path):
        raise ZeroDivisionError
    assert git(project, "worktree", "list").count("\n") == 0


def test_a_lost_commit_is_named_with_the_way_to_fetch_it(tmp_path: Path) -> None:
    make_repository(tmp_path / "project", {"a.txt": "one"})
    lost = "0123456789012345678901234567890123456789"
    with (
        pytest.raises(CommitLost, match=f"next: fetch it: `git fetch origin {lost}`"),
        open_checkout(tmp_path / "project", lost, tmp_path),
    ):
        pass


def test_a_folder_without_a_repository_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(NotReproducible, match="found no git repository"),
        open_checkout(tmp_path, "0" * 40, tmp_path),
    ):
        pass
