"""A suite that cannot be read completely is refused, because a dropped rule protects nothing."""

from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.tables.files import read_batch
from sluice.adapters.validation.expectations import check_suite, measure_data
from sluice.config.loading import load_service
from sluice.errors import ConfigInvalid
from sluice.home import SAMPLES
from support.releases.runs import edit_suite

CONFIG = load_service("employment", "development")
YEAR = read_batch(SAMPLES / "acs_employment_2016.parquet", CONFIG.data)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))


def test_a_missing_suite_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"employment\.json: no such expectation suite"):
        check_suite(tmp_path, "employment")


@pytest.mark.parametrize("text", ["{", "[]", '{"expectations": 3}'])
def test_an_unreadable_suite_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "broken.json").write_text(text)
    with pytest.raises(ConfigInvalid, match=r"broken\.json"):
        check_suite(tmp_path, "broken")


def test_an_unknown_expectation_is_refused(tmp_path: Path) -> None:
    def edit(rules: list[dict[str, Any]]) -> None:
        rules[0]["type"] = "expect_the_unexpected"

    with pytest.raises(ConfigInvalid, match="unknown type or argument in: expect_the_unexpected"):
        measure_data(CONFIG, YEAR, None, "test", edit_suite(tmp_path / "gx", edit))


def test_a_misspelt_argument_is_refused_not_dropped(tmp_path: Path) -> None:
    def edit(rules: list[dict[str, Any]]) -> None:
        rule = next(rule for rule in rules if rule["kwargs"].get("min_value") == 16)
        rule["kwargs"]["min_valeu"] = rule["kwargs"].pop("min_value")

    with pytest.raises(ConfigInvalid, match="min_valeu"):
        measure_data(CONFIG, YEAR, None, "test", edit_suite(tmp_path / "gx", edit))
