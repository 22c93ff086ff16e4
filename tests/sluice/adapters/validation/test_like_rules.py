"""Rules of one kind are evaluated as one, with the results that each has alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sluice.adapters.validation import like_rules
from sluice.adapters.validation.expectations import measure_data
from sluice.adapters.validation.like_rules import GROUP, LEAST, group_rules
from sluice.config.loading import load_service
from sluice.data.batches.arrival import EarlierBatches
from sluice.data.schema import arrow_schema
from sluice.gates.data import DataEvidence
from sluice.home import SAMPLES, SUITES
from sluice.profile.rules import DISTRIBUTION, KIND, NOT_NULL, RANGE, SET

CONFIG = load_service("employment", "development")
SCHEMA = arrow_schema(CONFIG.data)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))


def survey(year: int, change: Callable[[pd.DataFrame], Any] = lambda frame: None) -> pa.Table:
    frame = pd.read_parquet(SAMPLES / f"acs_employment_{year}.parquet")
    change(frame)
    return pa.Table.from_pandas(frame, SCHEMA, preserve_index=False)


def break_rows(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[:3], "age"] = 1_000
    frame.loc[frame.index[5:30], "education"] = "nursery"
    frame.loc[frame.index[40:42], "sex"] = None
    frame["hours_shift"] = 0.0


def shift(frame: pd.DataFrame) -> None:
    frame["age"] = np.minimum(frame["age"] + 9, 95)


CASES: dict[str, Callable[[], tuple[pa.Table, pa.Table | None]]] = {
    "first": lambda: (survey(2015), None),
    "good": lambda: (survey(2016), survey(2015)),
    "broken": lambda: (survey(2016, break_rows), survey(2015)),
    "shifted": lambda: (survey(2016, shift), survey(2015)),
    "few": lambda: (survey(2016).slice(0, 300), survey(2015)),
    "a column missing": lambda: (survey(2016).drop_columns(["sex"]), survey(2015)),
}


def compare(one: DataEvidence, other: DataEvidence) -> None:
    assert one.rules == other.rules
    assert one.bad_rows.equals(other.bad_rows)


@pytest.mark.parametrize("case", CASES)
def test_results_are_those_that_each_rule_has_alone(
    monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    table, baseline = CASES[case]()
    alone = measure_data(CONFIG, table, baseline, "alone")
    monkeypatch.setattr(like_rules, "LEAST", 1)
    together = measure_data(CONFIG, table, baseline, "together")
    compare(alone, together)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("rows", [200, 2_000])
def test_a_share_of_the_rows_may_break_a_rule_as_it_may_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, rows: int
) -> None:
    folder = Path(shutil.copytree(SUITES, tmp_path / "gx"))
    path = folder / "expectations" / "employment.json"
    suite = json.loads(path.read_text(encoding="utf-8"))
    for rule in suite["expectations"]:
        if rule["type"] in (NOT_NULL, RANGE, SET):
            rule["kwargs"]["mostly"] = share
    del suite["expectations"][3]["id"]
    path.write_text(json.dumps(suite), encoding="utf-8")
    batch, earlier = survey(2016, break_rows).slice(0, rows), EarlierBatches((500, 700))
    alone = measure_data(CONFIG, batch, survey(2015), "alone", folder, earlier)
    monkeypatch.setattr(like_rules, "LEAST", 1)
    together = measure_data(CONFIG, batch, survey(2015), "together", folder, earlier)
    compare(alone, together)
    assert share < 0.99 or {rule.state for rule in alone.rules} > {"met"}


def test_the_page_names_the_columns_that_break_their_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(like_rules, "LEAST", 1)
    found = measure_data(CONFIG, survey(2015, break_rows), None, "page")
    assert found.page is not None
    page = found.page.read_text(encoding="utf-8")
    assert "kept; broken: education" in page
    assert "kept; broken: sex" in page


def test_an_error_of_one_rule_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(SUITES, tmp_path / "gx"))
    path = folder / "expectations" / "employment.json"
    suite = json.loads(path.read_text(encoding="utf-8"))
    watched = [item for item in suite["expectations"] if item["type"] == DISTRIBUTION]
    watched[0]["kwargs"]["minimum_rows"] = "many"
    path.write_text(json.dumps(suite), encoding="utf-8")
    monkeypatch.setattr(like_rules, "LEAST", 1)
    found = measure_data(CONFIG, survey(2016), survey(2015), "error", folder)
    states = [rule.state for rule in found.rules]
    assert states.count("errored") == 1
    assert states.count("broken") == 0


def make_rules(name: str, count: int, **arguments: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"{name}{at}", "type": name, "kwargs": {"column": f"n{at}", **arguments}}
        for at in range(count)
    ]


@pytest.fixture
def wide() -> pd.DataFrame:
    return pd.DataFrame({f"n{at}": [0.5, 1.5] for at in range(300)})


def test_hundreds_of_like_rules_are_one(wide: pd.DataFrame) -> None:
    rules = [
        *make_rules(KIND, 300, kind="number"),
        *make_rules(NOT_NULL, 300),
        *make_rules(RANGE, 300, min_value=0, max_value=1),
    ]
    assert [rule["type"] for rule in group_rules(rules, wide, "id")] == [GROUP] * 3


def test_what_is_not_known_here_stays_alone(wide: pd.DataFrame) -> None:
    few = make_rules(KIND, LEAST - 1, kind="number")
    assert group_rules(few, wide, "id") == few
    strict = make_rules(RANGE, 300, min_value=0, strict_min=True)
    assert group_rules(strict, wide, "id") == strict
    words = wide.astype(str)
    numbers = make_rules(RANGE, 300, min_value=0)
    assert group_rules(numbers, words, "id") == numbers
    nameless = [{**rule, "id": ""} for rule in make_rules(NOT_NULL, 300)]
    assert group_rules(nameless, wide, "id") == nameless
