"""Files are written all or not at all, and suites keep what was not changed."""

import json
from pathlib import Path

import pytest

from sluice.adapters.storage import draft_file, write_whole
from sluice.adapters.validation.suite_file import (
    build_expectation,
    check_free,
    dump_suite,
    read_suite,
    write_service,
    write_suite,
)
from sluice.errors import DataUnavailable, ServiceExists
from sluice.home import SUITES
from sluice.profile.rules import RANGE, DataRule

RULE = DataRule(RANGE, {"column": "a", "min_value": 1.0}, "Because.")


def test_nothing_is_left_where_one_file_cannot_be_written(tmp_path: Path) -> None:
    there, blocked = tmp_path / "there.txt", tmp_path / "blocked.txt"
    there.write_text("old")
    blocked.mkdir()
    (blocked / "full").write_text("")
    with pytest.raises(OSError, match="blocked"):
        write_whole({tmp_path / "new.txt": "new", there: "new", blocked: "new"})
    assert there.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocked.txt", "there.txt"]


def test_a_commit_comes_after_all_texts_and_before_the_first_file(tmp_path: Path) -> None:
    there, blocked = tmp_path / "there.txt", tmp_path / "none" / "file.txt"
    there.write_text("old")
    seen: list[str] = []
    write_whole({there: "new"}, commit=lambda: seen.append(there.read_text()))
    assert (seen, there.read_text()) == (["old"], "new")
    (tmp_path / "none").write_text("a file, no folder")
    with pytest.raises(OSError, match="none"):
        write_whole({there: "newer", blocked: "new"}, commit=lambda: seen.append("too late"))
    assert (seen, there.read_text()) == (["old"], "new")


def test_nothing_is_replaced_where_the_commit_fails(tmp_path: Path) -> None:
    def fail() -> None:
        raise DataUnavailable("the table is away")

    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(DataUnavailable):
        write_whole({path: "new"}, commit=fail)
    assert [item.read_text() for item in tmp_path.iterdir()] == ["old"]


def test_a_service_is_two_files_or_none(tmp_path: Path) -> None:
    configs, suites = tmp_path / "configs", tmp_path / "gx"
    paths = write_service("churn", "service: churn\n", [RULE], configs, suites)
    assert [path.exists() for path in paths] == [True, True]
    with pytest.raises(ServiceExists, match=r"churn\.yaml.*churn\.json already.*--force"):
        check_free("churn", configs, suites)
    check_free("other", configs, suites)


def test_a_folder_that_is_a_file_is_a_fault_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "configs").write_text("in the way")
    with pytest.raises(DataUnavailable, match="cannot be reached"):
        write_service("churn", "x", [RULE], tmp_path / "configs", tmp_path / "gx")
    assert not list((tmp_path / "gx").rglob("*.json"))


def test_the_default_suite_is_written_as_it_was_read(tmp_path: Path) -> None:
    before = (SUITES / "expectations" / "employment.json").read_text(encoding="utf-8")
    assert dump_suite(read_suite(SUITES, "employment")).strip() == before.strip()


def test_a_written_suite_keeps_other_rules_ids(tmp_path: Path) -> None:
    suite = read_suite(SUITES, "employment")
    ids = [rule["id"] for rule in suite["expectations"]]
    suite["expectations"].append(build_expectation(RULE))
    write_suite(tmp_path, "employment", suite)
    written = json.loads((tmp_path / "expectations" / "employment.json").read_text())
    assert [rule["id"] for rule in written["expectations"]][:-1] == ids
    assert written["expectations"][-1]["notes"] == "Because."
    assert len({rule["id"] for rule in written["expectations"]}) == len(ids) + 1


def test_writers_of_one_path_have_drafts_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with draft_file(path) as first, draft_file(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write_half() -> None:
        with draft_file(path) as draft:
            draft.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
