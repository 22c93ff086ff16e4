"""The committed suite passes the real survey, names errors, and reports what it did not judge."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sluice.adapters.tables.files import read_batch
from sluice.adapters.validation.expectations import measure_data
from sluice.config.loading import load_service
from sluice.data.batches.arrival import EarlierBatches
from sluice.data.schema import check_schema
from sluice.gates.data import DataEvidence, DataGate
from sluice.home import SAMPLES, SUITES
from sluice.verdict import Outcome, Verdict
from support.releases.runs import edit_suite

CONFIG = load_service("employment", "development")
YEARS = {
    year: read_batch(SAMPLES / f"acs_employment_{year}.parquet", CONFIG.data)
    for year in range(2015, 2019)
}
Change = Callable[[pd.DataFrame], Any]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))


def measure(
    table: pa.Table, baseline: pa.Table | None, folder: Path = SUITES
) -> tuple[DataEvidence, Verdict]:
    evidence = measure_data(CONFIG, table, baseline, "test", folder)
    return evidence, DataGate(CONFIG.data).judge(evidence)


def alter(change: Change, year: int = 2016) -> pa.Table:
    frame = YEARS[year].to_pandas()
    change(frame)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return check_schema(table, CONFIG.data, "altered")


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in verdict.checks}


def failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if check.outcome is Outcome.FAIL}


@pytest.mark.parametrize("year", [2016, 2017, 2018])
def test_each_real_year_passes_against_the_one_before(year: int) -> None:
    evidence, verdict = measure(YEARS[year], YEARS[year - 1])
    assert verdict.passed, verdict.message
    assert verdict.notices == ()
    assert evidence.bad_rows.num_rows == 0
    assert outcomes(verdict)["distribution of employed"] is Outcome.PASS


@pytest.mark.parametrize("year", [2016, 2017, 2018])
def test_the_growing_table_passes_against_its_last_version(year: int) -> None:
    before = pa.concat_tables([YEARS[earlier] for earlier in range(2015, year)])
    evidence, verdict = measure(pa.concat_tables([before, YEARS[year]]), before)
    assert verdict.passed, verdict.message
    assert evidence.new_rows == 12_000
    assert "12,000 of them new" in verdict.reason


def test_the_first_version_passes_with_notice() -> None:
    evidence, verdict = measure(YEARS[2015], None)
    assert verdict.passed, verdict.message
    assert evidence.previous_rows is None
    assert any("not judged: no previous version" in notice for notice in verdict.notices)
    assert outcomes(verdict)["distribution of age"] is Outcome.LISTED


def test_the_same_version_again_passes_with_notice() -> None:
    _, verdict = measure(YEARS[2015], YEARS[2015])
    assert verdict.passed, verdict.message
    assert any("not judged: no new rows" in notice for notice in verdict.notices)


def test_values_outside_the_set_are_named_with_their_rows() -> None:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[:19, "relationship"] = "code 7"

    evidence, verdict = measure(alter(change), YEARS[2015])
    ids = [str(value) for value in YEARS[2016]["person_id"][:20].to_pylist()]
    assert failed(verdict) == {"relationship in set"}
    assert verdict.reason == (
        "relationship in set: 20 of 12,000 rows outside the set "
        f"(first: person_id {ids[0]}, {ids[1]}, {ids[2]})"
    )
    assert evidence.bad_rows["person_id"].to_pylist() == ids
    assert set(evidence.bad_rows["value"].to_pylist()) == {"code 7"}
    assert set(evidence.bad_rows["rule"].to_pylist()) == {"relationship in set"}


def test_at_most_twenty_rows_are_named_in_a_check() -> None:
    _, verdict = measure(alter(lambda frame: frame.__setitem__("age", 5)), YEARS[2015])
    (check,) = (check for check in verdict.checks if check.name == "age within [16, 100]")
    assert check.measured == 12_000
    assert check.note.count(",") == 21


def test_nulls_are_stopped() -> None:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[:9, "education"] = None
        frame["disability"] = frame["disability"].astype("boolean")
        frame.loc[:4, "disability"] = pd.NA
        frame["age"] = frame["age"].astype("Int64")
        frame.loc[:2, "age"] = pd.NA

    evidence, verdict = measure(alter(change), YEARS[2015])
    assert failed(verdict) == {"education not null", "disability not null", "age not null"}
    assert evidence.bad_rows.num_rows == 18


def test_duplicates_are_stopped() -> None:
    table = pa.concat_tables([YEARS[2016], YEARS[2016][:3]])
    evidence, verdict = measure(table, YEARS[2015])
    assert failed(verdict) == {"person_id unique"}
    assert evidence.bad_rows.num_rows == 6


def test_rows_that_the_previous_version_has_are_stopped() -> None:
    table = pa.concat_tables([YEARS[2016], YEARS[2015][:3]])
    evidence, verdict = measure(table, YEARS[2015])
    assert failed(verdict) == {"person_id new"}
    assert evidence.bad_rows.num_rows == 3


def test_a_shifted_number_is_stopped() -> None:
    def change(frame: pd.DataFrame) -> None:
        frame["age"] = np.minimum(frame["age"] + 4, 89)

    _, verdict = measure(alter(change), YEARS[2015])
    assert failed(verdict) == {"distribution of age"}
    assert "not distributed as before" in verdict.reason


def test_a_shifted_label_is_stopped() -> None:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[np.random.default_rng(1).random(len(frame)) < 0.25, "employed"] = 0

    _, verdict = measure(alter(change), YEARS[2015])
    assert failed(verdict) == {"distribution of employed"}


def test_only_new_rows_are_compared_with_the_previous_version() -> None:
    def change(frame: pd.DataFrame) -> None:
        frame["nativity"] = "native"

    before = pa.concat_tables([YEARS[2015], YEARS[2017], YEARS[2018]])
    _, verdict = measure(pa.concat_tables([before, alter(change)]), before)
    assert "distribution of nativity" in failed(verdict)


def test_a_column_that_follows_the_target_is_stopped() -> None:
    def change(frame: pd.DataFrame) -> None:
        order = np.argsort(frame["employed"].to_numpy(), kind="stable")
        frame.loc[order, "ancestry"] = np.sort(frame["ancestry"].to_numpy(dtype=object))

    _, verdict = measure(alter(change), YEARS[2015])
    assert failed(verdict) == {"target leakage of ancestry"}
    assert "find out when ancestry is filled in" in verdict.next_step


def test_a_stale_batch_is_stopped() -> None:
    _, verdict = measure(YEARS[2015], YEARS[2016])
    assert failed(verdict) == {"freshness of survey_year"}
    assert "newest of the table is 2015, the previous version had 2016" in verdict.reason


def test_a_tiny_batch_is_stopped() -> None:
    _, verdict = measure(YEARS[2017][:900], pa.concat_tables([YEARS[2015], YEARS[2016]]))
    assert failed(verdict) == {"new rows"}
    assert "900 new rows, at least 2,400 expected after 24,000 previous rows" in verdict.reason


@pytest.mark.parametrize("sizes", [None, (12_000, 12_000)], ids=["release", "ingest"])
def test_labelled_traffic_may_have_any_size(sizes: tuple[int, ...] | None) -> None:
    before = pa.concat_tables([YEARS[2015], YEARS[2016]])
    traffic = YEARS[2017][:900]
    table = traffic if sizes else pa.concat_tables([before, traffic])
    earlier = EarlierBatches(sizes, is_traffic=True)
    evidence = measure_data(CONFIG, table, before, "test", earlier=earlier)
    verdict = DataGate(CONFIG.data).judge(evidence)
    assert verdict.passed, verdict.message
    assert outcomes(verdict)["new rows"] is Outcome.LISTED


def test_distributions_of_few_rows_are_not_judged_with_a_notice() -> None:
    _, verdict = measure(YEARS[2017][:400], YEARS[2015])
    assert outcomes(verdict)["distribution of age"] is Outcome.LISTED
    assert any("fewer than 500 rows" in notice for notice in verdict.notices)


def test_a_missing_column_is_stopped_not_passed() -> None:
    table = YEARS[2016].drop_columns(["sex"])
    _, verdict = measure(table, YEARS[2015])
    assert "columns" in failed(verdict)
    assert outcomes(verdict)["sex in set"] is Outcome.INSUFFICIENT


def test_an_expectation_that_errors_halts_as_insufficient(tmp_path: Path) -> None:
    def edit(rules: list[dict[str, Any]]) -> None:
        next(rule for rule in rules if rule["kwargs"].get("min_value") == 16)["kwargs"][
            "column"
        ] = "aeg"

    _, verdict = measure(YEARS[2016], YEARS[2015], edit_suite(tmp_path / "gx", edit))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "aeg within [16, 100]: could not be evaluated" in verdict.reason
    assert "repair gx/expectations/employment.json" in verdict.next_step


def test_an_empty_suite_halts(tmp_path: Path) -> None:
    folder = edit_suite(tmp_path / "gx", list.clear)
    _, verdict = measure(YEARS[2016], YEARS[2015], folder)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "has no expectation" in verdict.reason


def test_a_rule_removed_from_the_file_is_no_longer_judged(tmp_path: Path) -> None:
    def edit(rules: list[dict[str, Any]]) -> None:
        rules[:] = [rule for rule in rules if "newest" not in rule["type"]]

    _, verdict = measure(YEARS[2015], YEARS[2016], edit_suite(tmp_path / "gx", edit))
    assert verdict.passed, verdict.message


def test_a_limit_changed_in_the_file_is_used(tmp_path: Path) -> None:
    def edit(rules: list[dict[str, Any]]) -> None:
        next(rule for rule in rules if "minimum_share" in rule["kwargs"])["kwargs"][
            "minimum_share"
        ] = 1.5

    _, verdict = measure(YEARS[2016], YEARS[2015], edit_suite(tmp_path / "gx", edit))
    assert failed(verdict) == {"new rows"}


def test_a_rule_written_without_an_id_is_judged(tmp_path: Path) -> None:
    def edit(rules: list[dict[str, Any]]) -> None:
        rule = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age"}}
        rule["kwargs"] |= {"min_value": 30, "max_value": 40, "mostly": 0.9}  # type: ignore[operator]
        rules[:] = [rule]

    _, verdict = measure(YEARS[2016], YEARS[2015], edit_suite(tmp_path / "gx", edit))
    assert failed(verdict) == {"age within [30, 40]"}
    assert verdict.checks[0].limit == 1200


def test_nothing_is_written_beside_the_suite() -> None:
    before = {path: path.stat().st_mtime_ns for path in SUITES.rglob("*")}
    measure(YEARS[2016], YEARS[2015])
    assert {path: path.stat().st_mtime_ns for path in SUITES.rglob("*")} == before


def test_the_page_shows_the_rules_and_needs_no_network(tmp_path: Path) -> None:
    evidence, _ = measure(YEARS[2016], YEARS[2015])
    assert evidence.page is not None
    page = evidence.page.read_text(encoding="utf-8")
    assert evidence.page.is_relative_to(tmp_path / "home" / "data_docs")
    assert "must be distributed as in the previous version" in page
    assert "<script" not in page
    assert "http" not in page
    assert [path.name for path in (tmp_path / "home" / "data_docs").iterdir()] == ["employment"]


def test_threads_do_not_see_each_others_rows() -> None:
    tables = [YEARS[2016][: 5000 + 500 * turn] for turn in range(4)]
    with ThreadPoolExecutor(4) as pool:
        verdicts = [item[1] for item in pool.map(lambda table: measure(table, None), tables)]
    rows = [
        next(check.measured for check in verdict.checks if check.name == "table rows")
        for verdict in verdicts
    ]
    assert rows == [5000, 5500, 6000, 6500]


def test_the_templates_of_a_page_are_compiled_once_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, _ = measure(YEARS[2016], None)
    monkeypatch.setattr("jinja2.Environment.compile", lambda *_, **__: pytest.fail("compiled"))
    second, _ = measure(YEARS[2017], None)
    pages = [item.page.read_text(encoding="utf-8") for item in (first, second) if item.page]
    assert len(pages) == 2
    assert pages[0] != pages[1]
