"""`sluice expect` lists and changes rules by number, without UUIDs."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.tables.files import read_batch
from sluice.adapters.validation.expectations import measure_data
from sluice.config.loading import load_service
from sluice.home import SAMPLES, SUITES, Home
from support.releases.runs import run_sluice

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """A copy of the committed suites."""
    return Path(shutil.copytree(SUITES, tmp_path / "gx"))


@pytest.fixture
def sluice(tmp_path: Path, suites: Path) -> Run:
    """Change the copy's rules of the default service."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        home = tmp_path / "home"
        return run_sluice("expect", "employment", *words, home=home, SLUICE_SUITES=str(suites))

    return run


def rules_of(suites: Path) -> list[dict[str, Any]]:
    path = suites / "expectations" / "employment.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["expectations"]
    return found


def number_of(suites: Path, kind: str, column: str) -> int:
    return next(
        number
        for number, rule in enumerate(rules_of(suites), 1)
        if rule["type"].endswith(kind) and rule["kwargs"].get("column") == column
    )


def test_list_has_numbers_and_the_names_that_verdicts_use(suites: Path, sluice: Run) -> None:
    ended = sluice()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    output = " ".join(ended.stdout.split())
    number = number_of(suites, "be_between", "age")
    assert f"{number} age within [16, 100] 16 100" in output
    assert f"{len(rules_of(suites))} distribution of employed" in output
    assert "add COLUMN RULE VALUES; edit NUMBER VALUES; remove NUMBER" in output


def test_rules_are_added_edited_and_removed_and_others_keep_their_ids(
    suites: Path, sluice: Run
) -> None:
    before = rules_of(suites)
    number = number_of(suites, "be_between", "age")
    steps = (
        ("add", "race", "unique"),
        ("edit", str(number), "-5", "99"),
        ("remove", str(len(before) + 1)),
        ("remove", str(number_of(suites, "be_in_set", "race"))),
    )
    for words in steps:
        ended = sluice(*words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    after = rules_of(suites)
    assert after[number - 1]["kwargs"]["min_value"] == -5.0
    gone = {rule["id"] for rule in before} - {rule["id"] for rule in after}
    assert len(gone) == 1
    assert len(after) == len(before) - 1
    assert "removed" in ended.stdout


def test_an_edited_rule_decides(suites: Path, sluice: Run, home: Home, tmp_path: Path) -> None:
    config = load_service("employment", "development")
    table = read_batch(SAMPLES / "acs_employment_2015.parquet", config.data)
    ended = sluice("edit", str(number_of(suites, "be_between", "age")), "16", "50")
    assert ended.stdout.startswith("edited ")
    evidence = measure_data(config, table, None, "test", suites)
    broken = [rule.name for rule in evidence.rules if rule.state == "broken"]
    assert broken == ["age within [16, 50]"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "colour", "unique"), "RuleInvalid: no column 'colour'; allowed: person_id"),
        (("add", "age", "even"), "RuleInvalid: no rule 'even'"),
        (("add", "age", "range", "1", "2"), "is the same rule on 'age'; edit "),
        (("edit", "999", "1"), "RuleInvalid: no rule '999'; allowed: 1 to "),
        (("remove", "first"), "RuleInvalid: no rule 'first'"),
        (("change", "1"), "'change' is not one of 'add'"),
        (("add", "age"), "RuleInvalid: found 'add age'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_changes(
    suites: Path, sluice: Run, words: tuple[str, ...], message: str
) -> None:
    before = rules_of(suites)
    ended = sluice(*words)
    assert ended.returncode == 2
    assert message in ended.stdout + ended.stderr
    assert rules_of(suites) == before


def test_the_ids_own_rules_stay(suites: Path, sluice: Run) -> None:
    ended = sluice("remove", str(number_of(suites, "be_unique", "person_id")))
    assert ended.returncode == 2
    assert "is the id, and the split depends on it" in ended.stdout
