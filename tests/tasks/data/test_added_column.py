"""An added column gets what `init` gives a column: how it is read, and the kind of its rules."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prefect.logging import disable_run_logger

from sluice.adapters.tables.delta import append_batch, read_version
from sluice.adapters.tables.files import read_batch
from sluice.control.command import Author
from sluice.data.batches.arrival import Delivery
from sluice.data.evolution import SchemaChange
from sluice.errors import ChoiceNeeded, DataInvalid, SchemaRefused
from sluice.home import find_home
from sluice.profile.facts.cells import Dates
from sluice.profile.rules import DISTRIBUTION, GROWS, KIND, RANGE, SET
from support.releases.own_data import OwnWorld
from tasks.data import evolution
from tasks.data.evolution import SchemaRequest, change_schema, propose_request
from tasks.data.ingestion import validate_batch

ROWS = 1_200
ADA = Author("Ada", "a new field", "terminal")


def make_rows(start: int, first: int) -> pd.DataFrame:
    random = np.random.default_rng(start)
    number = np.arange(ROWS)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(start + number // 20, unit="D")
    size = random.normal(size=ROWS).round(4)
    label = np.where(size + random.normal(size=ROWS) > 0, "yes", "no")
    return pd.DataFrame(
        {"id": first + number, "day": days.strftime("%Y-%m-%d"), "size": size, "y": label}
    )


def make_batch() -> pd.DataFrame:
    """A later batch with columns of each kind, each written in its own way."""
    rows, random = make_rows(60, 10_000), np.random.default_rng(5)
    days = pd.to_datetime(rows["day"])
    cost = [f"${value:,.2f}" for value in random.uniform(1_000, 9_000, ROWS)]
    cost[3], cost[4] = "-", "NA"
    return rows.assign(
        cost=cost,
        month=days.dt.month,
        days_open=(days - pd.Timestamp("2020-01-01")).dt.days,
        channel=random.choice(["web", "shop", "phone"], ROWS),
        paid=(days + pd.Timedelta(days=20)).dt.strftime("%d.%m.%Y"),
        shipped=pd.Timestamp("2026-01-05").strftime("%d/%m/%Y"),
        tail=np.round(random.lognormal(0, 2, ROWS), 3),
        code=[f"{value:05d}" for value in random.integers(0, 99, ROWS)],
    )


class Shop:
    """A service with the rows of its first file in the table, and a batch with more columns."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("SLUICE_HOME", str(root / "home"))
        self.world, self.root = OwnWorld(root, patch), root
        patch.setattr(evolution, "CONFIGS", root / "configs")
        patch.setattr(evolution, "SUITES", root / "gx")
        first = root / "shop.csv"
        make_rows(0, 0).to_csv(first, index=False)
        self.config = self.world.init(first, "y", time="day")
        append_batch(self.uri, read_batch(first, self.config.data), {"source": "first"}, "id")

    @property
    def uri(self) -> Path:
        return find_home().table("shop")

    def propose(self, file: Path, column: str, kind: str = "", dates: Dates = "") -> SchemaRequest:
        change = SchemaChange("add", column, kind)
        return propose_request(self.config, change, True, file, dates)

    def add(self, file: Path, column: str, kind: str = "", dates: Dates = "") -> dict[str, Any]:
        """Add a column, and return the arguments of its rules by their kind."""
        change_schema("shop", self.propose(file, column, kind, dates), ADA)
        self.config = self.world.load("shop")
        text = (self.root / "gx" / "expectations" / "shop.json").read_text(encoding="utf-8")
        rules = json.loads(text)["expectations"]
        return {
            item["type"]: item["kwargs"] for item in rules if item["kwargs"].get("column") == column
        }


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path, monkeypatch)


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_a_batch_with_columns_of_each_kind_is_taken_after_they_are_added(
    shop: Shop, tmp_path: Path, extension: str
) -> None:
    batch, file = make_batch(), tmp_path / f"batch.{extension}"
    if extension == "csv":
        batch.to_csv(file, index=False)
    else:
        plain = pd.to_numeric(batch["cost"].str.strip("$").str.replace(",", ""), errors="coerce")
        batch["cost"] = plain
        batch.to_parquet(file, index=False)
    cost = shop.add(file, "cost")
    assert {KIND, RANGE, DISTRIBUTION} == set(cost)
    month, opened = shop.add(file, "month"), shop.add(file, "days_open")
    assert (month[RANGE]["min_value"], month[RANGE]["max_value"]) == (1, 12)
    assert set(month) == {KIND, RANGE}
    assert set(opened) == {KIND, GROWS}
    assert opened[GROWS]["time"] == "day"
    channel = shop.add(file, "channel")
    assert channel[SET]["value_set"] == ["phone", "shop", "web"]
    assert channel[SET]["mostly"] == 0.95
    assert shop.add(file, "paid")[KIND]["kind"] == "timestamp"
    assert shop.add(file, "shipped", dates="day-first")[KIND]["kind"] == "timestamp"
    assert shop.add(file, "code")[KIND]["kind"] == "text"
    tail = shop.add(file, "tail")[RANGE]
    assert tail["max_value"] > 10 * batch["tail"].max()
    with disable_run_logger():
        found = validate_batch.fn(shop.config, Delivery("files", str(file)), tmp_path / "scratch")
    assert found.verdict is not None
    assert found.verdict.passed, found.verdict.message
    assert shop.config.data.encodings == {
        "paid": "date",
        "shipped": "date",
        "code": "target",
    }
    if extension == "csv":
        reading = shop.config.data.reading
        assert (reading.of("cost").prefix, reading.of("cost").thousands) == ("$", ",")
        assert "-" in reading.nulls
        rows = read_batch(file, shop.config.data)
        assert rows["cost"].null_count == 2
        assert rows["shipped"][0].as_py().day == 5


def test_dates_that_can_be_read_in_two_ways_are_asked_for(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "batch.csv"
    make_batch().to_csv(file, index=False)
    with pytest.raises(ChoiceNeeded, match="--dates"):
        shop.propose(file, "shipped")
    assert shop.propose(file, "cost").change.kind == "number"


def test_a_kind_that_is_given_holds(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "batch.csv"
    make_batch().assign(n=np.arange(ROWS)).to_csv(file, index=False)
    assert shop.add(file, "n", "text")[KIND]["kind"] == "text"
    assert shop.add(file, "paid", "text")[KIND]["kind"] == "text"
    assert shop.add(file, "month", "number")[KIND]["kind"] == "number"
    with pytest.raises(DataInvalid, match="allowed: number"):
        shop.propose(file, "channel", "number")
    with pytest.raises(SchemaRefused, match="found kind 'word'"):
        shop.propose(file, "channel", "word")


def test_a_file_is_read_as_the_service_reads_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, monkeypatch)
    path = tmp_path / "configs" / "shop.yaml"
    text = path.read_text(encoding="utf-8")
    more = "  reading:\n    delimiter: ;\n    decimal: ','\n    encoding: cp1252\n  columns:\n"
    path.write_text(text.replace("  columns:\n", more, 1), encoding="utf-8")
    shop.config, file = shop.world.load("shop"), tmp_path / "batch.csv"
    rows = make_rows(60, 10_000).assign(weight=np.arange(ROWS) / 4, town="Köln")
    rows.to_csv(file, index=False, sep=";", decimal=",", encoding="cp1252")
    assert shop.add(file, "weight")[KIND]["kind"] == "number"
    assert shop.propose(file, "town").facts == shop.propose(file, "town", "text").facts
    shop.add(file, "town")
    assert read_batch(file, shop.config.data)["weight"][2].as_py() == 0.5
    table, _ = read_version(shop.uri, "shop", 2)
    assert table["town"].null_count == ROWS
