"""The suites of the other services pass later rows, and stop rows whose meaning changed."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from sluice.adapters.tables.files import read_batch
from sluice.adapters.validation.expectations import measure_data
from sluice.config.loading import load_service
from sluice.data.schema import check_schema
from sluice.gates.data import DataGate
from sluice.verdict import Verdict
from support.releases.services import write_examples

SERVICES = ("arrivals", "earnings")
Pair = tuple[pa.Table, pa.Table]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Return each service's first rows and its later rows."""
    folder, found = tmp_path_factory.mktemp("files"), {}
    for service in SERVICES:
        data = load_service(service, "development").data
        first, later = write_examples(service, folder)
        found[service] = (read_batch(first, data), read_batch(later, data))
    return found


def judge(service: str, table: pa.Table, baseline: pa.Table) -> Verdict:
    config = load_service(service, "development")
    return DataGate(config.data).judge(measure_data(config, table, baseline, "test"))


@pytest.mark.parametrize("service", SERVICES)
def test_later_rows_pass(tables: dict[str, Pair], service: str) -> None:
    first, later = tables[service]
    verdict = judge(service, later, first)
    assert verdict.passed, verdict.message


def test_rows_older_than_the_previous_ones_are_stopped_by_dates_in_text(
    tables: dict[str, Pair],
) -> None:
    first, later = tables["arrivals"]
    verdict = judge("arrivals", first, later)
    assert "freshness of day: the newest of the table is 2013-03-31, the previous version had " in (
        verdict.reason + "".join(check.note for check in verdict.checks)
    )


def record_in_thousands(rows: pd.DataFrame) -> pd.DataFrame:
    """A later extract has the target in thousands of dollars; each value is in its range."""
    return rows.assign(earned_1978=(rows["earned_1978"] / 1000).round(2))


def lose_early_class(rows: pd.DataFrame) -> pd.DataFrame:
    """A later feed has only the classes late and not late."""
    return rows.assign(arrival=rows["arrival"].replace("early", "on time"))


@pytest.mark.parametrize(
    ("service", "spoil", "column"),
    [("earnings", record_in_thousands, "earned_1978"), ("arrivals", lose_early_class, "arrival")],
)
def test_a_target_that_changed_its_meaning_is_stopped(
    tables: dict[str, Pair],
    service: str,
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    column: str,
) -> None:
    first, later = tables[service]
    data = load_service(service, "development").data
    spoiled = pa.Table.from_pandas(spoil(later.to_pandas()), preserve_index=False)
    verdict = judge(service, check_schema(spoiled, data, "spoiled"), first)
    assert not verdict.passed
    assert verdict.reason.startswith(f"distribution of {column}: ")
