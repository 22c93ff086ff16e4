"""Columns that grow with time by nature, as the suite's rules say."""

from pathlib import Path

import pytest

from sluice.adapters.validation.suite_file import build_suite, list_growing, write_suite
from sluice.errors import ConfigInvalid
from sluice.profile.rules import GROWS, RANGE, DataRule


def test_columns_with_a_rule_of_growth_are_listed(tmp_path: Path) -> None:
    rules = [
        DataRule(GROWS, {"column": "week", "time": "seen", "falling": False}),
        DataRule(RANGE, {"column": "age", "min_value": 0, "max_value": 120}),
        DataRule(GROWS, {"column": "index", "time": "seen", "falling": True}),
    ]
    (tmp_path / "expectations").mkdir()
    write_suite(tmp_path, "things", build_suite("things", rules))
    assert list_growing(tmp_path, "things") == ("index", "week")


def test_a_missing_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no such expectation suite"):
        list_growing(tmp_path, "things")
