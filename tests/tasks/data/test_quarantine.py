"""A person's decision about a refused batch is carried out once, whatever interrupts it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from prefect.logging import disable_run_logger
from pyarrow import parquet

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.sources.delta import find_table
from sluice.adapters.tables.delta import append_batch, latest_version, list_versions, read_version
from sluice.adapters.tables.quarantine import (
    find_quarantined,
    list_quarantined,
    read_exceptions,
)
from sluice.adapters.validation.expectations import measure_data
from sluice.config.service import ServiceConfig
from sluice.control.command import Author
from sluice.data.batches.arrival import Delivery, EarlierBatches
from sluice.data.batches.quarantine import QuarantinedBatch
from sluice.data.evolution import SchemaChange
from sluice.errors import CommandRefused, DataInvalid, DataUnavailable
from sluice.gates.data import DataGate
from sluice.home import Home, find_home
from sluice.verdict import Verdict
from support.releases.own_data import CASES, OwnWorld, read_table
from tasks.data import evolution
from tasks.data import quarantine as module
from tasks.data.evolution import SchemaRequest, change_schema
from tasks.data.ingestion import validate_batch
from tasks.data.quarantine import accept_batch, drop_batch

FIRST = pd.read_csv(CASES / "11_small_increment.csv")
BATCH = pd.read_csv(CASES / "11_small_increment_batch2_150_rows.csv")
ADA, BOB = Author("Ada", "the sensor is new", "terminal"), Author("Bob", "a test", "terminal")


class Shop:
    """A service with a table of one version, and its state folder."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("SLUICE_HOME", str(root / "home"))
        patch.setattr(evolution, "CONFIGS", root / "configs")
        patch.setattr(evolution, "SUITES", root / "gx")
        self.world, self.root = OwnWorld(root, patch), root
        self.config = self.world.init(CASES / "11_small_increment.csv", "y", service="shop")
        self.home: Home = find_home()
        self.uri = self.home.table("shop")
        append_batch(self.uri, read_table(self.config, FIRST), {"source": "first"}, "id")
        self.control: Control = prepare_control()

    def pull(self, frame: pd.DataFrame) -> Verdict | None:
        """Judge all rows of a Delta table as the ingest flow does; append what passes."""
        uri = self.root / "lake"
        write_deltalake(str(uri), pa.Table.from_pandas(frame), mode="overwrite")
        with disable_run_logger():
            found = validate_batch.fn(self.config, find_table(str(uri)), self.root / "scratch")
        if found.verdict and found.verdict.passed:
            rows = pa.ipc.open_file(str(found.rows)).read_all()
            append_batch(self.uri, rows, {"source": "lake"}, "id")
        return found.verdict

    def take(self, frame: pd.DataFrame, config: ServiceConfig | None = None) -> Verdict:
        """Judge a file as the ingest flow does; append what passes."""
        path = self.root / "batch.csv"
        frame.to_csv(path, index=False)
        folder, used = self.root / "scratch", config or self.config
        with disable_run_logger():
            found = validate_batch.fn(used, Delivery("files", str(path)), folder)
        assert found.verdict is not None
        if found.verdict.passed:
            rows = pa.ipc.open_file(str(found.rows)).read_all()
            append_batch(self.uri, rows, {"source": "file"}, "id")
        return found.verdict

    def refuse(self, frame: pd.DataFrame) -> QuarantinedBatch:
        assert not self.take(frame).passed
        return self.list()[-1]

    def list(self) -> list[QuarantinedBatch]:
        return list_quarantined(self.home.quarantine("shop"))

    def find(self, batch: QuarantinedBatch) -> QuarantinedBatch:
        return find_quarantined(self.home.quarantine("shop"), batch.name)

    def accept(self, batch: QuarantinedBatch, author: Author = ADA, good: bool = False) -> Any:
        return accept_batch(prepare_control(), self.config, batch.short_name, author, good)

    def judge_release(self, accepted: bool = True) -> Verdict:
        """Judge the table as a release does, against the first version."""
        table, _ = read_version(self.uri, "shop", latest_version(self.uri, "shop"), "id")
        first, _ = read_version(self.uri, "shop", 0, "id")
        earlier = EarlierBatches()
        if accepted:
            exceptions = read_exceptions(self.home.exceptions("shop"), self.uri)
            earlier = EarlierBatches(exceptions=exceptions)
        evidence = measure_data(self.config, table, first, "test", earlier=earlier)
        return DataGate(self.config.data).judge(evidence)

    def change(self, *changes: SchemaChange) -> None:
        """Change the schema of table, suite and configuration."""
        for change in changes:
            change_schema("shop", SchemaRequest(change), BOB)
        self.config = self.world.load("shop")

    def ids(self) -> set[int]:
        table, _ = read_version(self.uri, "shop", latest_version(self.uri, "shop"))
        return set(table["id"].to_pylist())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path, monkeypatch)


def spoil(bad: int = 10, rows: pd.DataFrame = BATCH) -> pd.DataFrame:
    """Plant values out of range in the first rows."""
    return rows.assign(x=np.where(np.arange(len(rows)) < bad, 99.0, rows["x"]))


def test_accepted_rows_are_in_the_table_with_who_and_why(shop: Shop) -> None:
    batch = shop.refuse(spoil())
    assert (batch.state, batch.rows, batch.bad_rows) == ("waiting", 150, 10)
    effect = shop.accept(batch)
    assert (effect.rows, effect.version) == (150, 1)
    assert set(BATCH["id"]) <= shop.ids()
    log = (shop.uri / "_delta_log" / f"{1:020}.json").read_text()
    assert '"acceptedBy":"Ada"' in log
    assert batch.name in log
    (entry,) = shop.control.timeline.list_entries("shop")
    assert (entry.action, entry.by, entry.reason) == ("quarantine-accept", "Ada", ADA.reason)
    assert batch.short_name in entry.origin
    found = shop.find(batch)
    assert (found.state, found.decision and found.decision.by) == ("accepted", "Ada")


def test_a_release_does_not_halt_for_accepted_rows(shop: Shop) -> None:
    shop.accept(shop.refuse(spoil()))
    assert "10 of " in shop.judge_release(accepted=False).reason
    found = shop.judge_release()
    assert found.passed, found.message
    other = BATCH.assign(id=BATCH["id"] + 10_000)
    append_batch(shop.uri, read_table(shop.config, spoil(2, other)), {}, "id")
    assert "2 of " in shop.judge_release().reason


def test_the_next_batch_is_taken_after_an_acceptance(shop: Shop) -> None:
    shop.accept(shop.refuse(spoil()))
    verdict = shop.take(BATCH.assign(id=BATCH["id"] + 10_000))
    assert verdict.passed, verdict.message


def test_accepting_twice_writes_once(shop: Shop) -> None:
    batch = shop.refuse(spoil())
    first, second = shop.accept(batch), shop.accept(batch, BOB)
    assert first == second
    assert latest_version(shop.uri, "shop") == 1
    (entry,) = shop.control.timeline.list_entries("shop")
    assert entry.by == "Ada"


def test_two_persons_accept_at_the_same_time(shop: Shop) -> None:
    batch = shop.refuse(spoil())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda author: shop.accept(batch, author), [ADA, BOB, ADA, BOB]))
    assert len(set(found)) == 1
    assert latest_version(shop.uri, "shop") == 1
    assert len(shop.control.timeline.list_entries("shop")) == 1


STEPS = ("decide", "record_exceptions", "append_batch", "settle", "_note_decision")


@pytest.mark.faults
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_acceptance_is_completed_by_the_same_command(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    """The process dies before or after each step."""
    batch, real = shop.refuse(spoil()), getattr(module, step)

    def die(*arguments: Any) -> Any:
        if not before:
            real(*arguments)
        raise DataUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(module, step, die)
        with pytest.raises(DataUnavailable):
            shop.accept(batch)
    assert shop.find(batch).rows == 150
    effect = shop.accept(batch)
    assert (effect.rows, effect.version) == (150, 1)
    assert latest_version(shop.uri, "shop") == 1
    assert shop.find(batch).state == "accepted"
    assert len(shop.control.timeline.list_entries("shop")) == 1
    assert shop.judge_release().passed


def test_rows_that_an_ingest_appends_meanwhile_are_not_doubled(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, real, turns = shop.refuse(spoil()), module.append_batch, []

    def be_late(uri: Path, table: pa.Table, facts: dict[str, str], key: str) -> Any:
        if not turns:
            turns.append(real(uri, table.slice(20, 30), {"source": "meanwhile"}, key))
        return real(uri, table, facts, key)

    monkeypatch.setattr(module, "append_batch", be_late)
    effect = shop.accept(batch)
    assert (effect.rows, effect.version) == (150, 2)
    rows = [item.rows for item in list_versions(shop.uri, "shop")]
    assert rows == [len(FIRST), len(FIRST) + 30, len(FIRST) + 150]


def test_a_row_of_the_table_is_never_changed(shop: Shop) -> None:
    rows = pd.concat([FIRST.head(2).assign(x=0.123), BATCH])
    effect = shop.accept(shop.refuse(rows))
    assert effect.rows == 150
    assert "2 have a id that the table has with other values: left out" in effect.message
    table, _ = read_version(shop.uri, "shop", 1, "id")
    kept = table.to_pandas().set_index("id")["x"]
    assert kept[FIRST["id"][0]] == FIRST["x"][0]


def test_good_rows_are_accepted_and_the_others_wait(shop: Shop) -> None:
    batch = shop.refuse(spoil())
    effect = shop.accept(batch, good=True)
    assert (effect.rows, effect.version) == (140, 1)
    (rest,) = (item for item in shop.list() if item.state == "waiting")
    assert (rest.rows, rest.bad_rows) == (10, 10)
    assert shop.judge_release().passed
    assert shop.accept(rest).rows == 10
    assert set(BATCH["id"]) <= shop.ids()
    assert shop.judge_release().passed


def test_bad_rows_alone_are_quarantined_where_the_service_says_so(shop: Shop) -> None:
    data = shop.config.data.model_copy(update={"on_bad_rows": "quarantine_rows"})
    config = shop.config.model_copy(update={"data": data})
    verdict = shop.take(spoil(), config)
    assert verdict.passed, verdict.message
    assert verdict.notices[0].startswith("10 of 150 rows are in quarantine: ")
    (rest,) = shop.list()
    assert (rest.rows, rest.state) == (10, "waiting")
    assert len(shop.ids() & set(BATCH["id"])) == 140


def test_many_bad_rows_refuse_the_batch_whole(shop: Shop) -> None:
    data = shop.config.data.model_copy(update={"on_bad_rows": "quarantine_rows"})
    config = shop.config.model_copy(update={"data": data})
    assert not shop.take(spoil(60), config).passed
    (rest,) = shop.list()
    assert rest.rows == 150


def test_a_dropped_batch_stays_on_record(shop: Shop) -> None:
    batch = shop.refuse(spoil())
    for author in (ADA, BOB):
        drop_batch(shop.control, shop.config, batch.short_name, author)
    found = shop.find(batch)
    assert (found.state, found.decision and found.decision.by) == ("dropped", "Ada")
    assert latest_version(shop.uri, "shop") == 0
    (entry,) = shop.control.timeline.list_entries("shop")
    assert entry.action == "quarantine-drop"
    kept = shop.home.quarantine("shop") / batch.name / "batch.parquet"
    assert parquet.read_table(kept).num_rows == 150


def test_the_first_answer_counts(shop: Shop) -> None:
    one, other = shop.refuse(spoil()), shop.refuse(spoil(11))
    drop_batch(shop.control, shop.config, one.short_name, ADA)
    with pytest.raises(CommandRefused, match="found the answer 'drop' of Ada"):
        shop.accept(one, BOB)
    shop.accept(other)
    with pytest.raises(CommandRefused, match="found the answer 'accept' of Ada"):
        drop_batch(shop.control, shop.config, other.short_name, BOB)


def make_good(start: int, count: int = 20) -> pd.DataFrame:
    """Rows that pass, with ids from `start` on."""
    return BATCH.head(count).assign(id=range(start, start + count))


@pytest.mark.parametrize("answer", ["", "drop"])
def test_a_refused_batch_does_not_block_a_source_that_is_read_as_a_whole(
    shop: Shop, answer: str
) -> None:
    lake = pd.concat([FIRST, spoil()])
    verdict = shop.pull(lake)
    assert verdict is not None
    assert not verdict.passed
    (batch,) = shop.list()
    if answer:
        drop_batch(shop.control, shop.config, batch.short_name, ADA)
    again = shop.pull(lake)
    assert again is None if answer else again is not None and not again.passed
    good = make_good(10**7)
    verdict = shop.pull(pd.concat([lake, good]))
    assert verdict is not None
    assert verdict.passed, verdict.message
    assert shop.ids() == {*FIRST["id"], *good["id"]}
    assert [item.name for item in shop.list()] == [batch.name]


@pytest.mark.parametrize("answer", ["", "drop"])
@pytest.mark.parametrize(
    "fault",
    [
        lambda rows: rows,  # bad cells
        lambda rows: BATCH.assign(id=[*FIRST["id"].head(5), *BATCH["id"].iloc[5:]]),
    ],
)
def test_a_batch_that_was_repaired_at_its_source_is_taken_whole(
    shop: Shop, answer: str, fault: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    batch = shop.refuse(fault(spoil()))
    if answer:
        drop_batch(shop.control, shop.config, batch.short_name, ADA)
    verdict = shop.take(BATCH)
    assert verdict.passed, verdict.message
    assert shop.ids() == {*FIRST["id"], *BATCH["id"]}


@pytest.mark.parametrize("answer", ["", "drop", "accept"])
def test_a_file_that_grows_is_taken_behind_a_refused_part(shop: Shop, answer: str) -> None:
    changed = FIRST.head(2).assign(x=FIRST["x"].head(2) + 0.5)
    batch = shop.refuse(pd.concat([changed, make_good(10**7)]))
    if answer == "accept":
        shop.accept(batch)
    elif answer:
        drop_batch(shop.control, shop.config, batch.short_name, ADA)
    good = make_good(2 * 10**7)
    verdict = shop.take(pd.concat([changed, make_good(10**7), good]))
    assert verdict.passed, verdict.message
    assert set(good["id"]) <= shop.ids()
    assert len(shop.ids()) == len(FIRST) + (40 if answer == "accept" else 20)


def test_a_refused_file_alone_is_judged_again(shop: Shop) -> None:
    batch = shop.refuse(spoil())
    assert not shop.take(spoil()).passed
    assert [item.name for item in shop.list()] == [batch.name]


@pytest.mark.parametrize(
    ("name", "author", "message"),
    [
        ("", ADA, "at least 4 characters"),
        ("zzzz", ADA, "found batch 'zzzz'"),
        ("all", Author("", "why"), "found no name"),
        ("all", Author("Ada", " "), "found no reason"),
    ],
)
def test_what_cannot_be_accepted_is_refused(
    shop: Shop, name: str, author: Author, message: str
) -> None:
    batch = shop.refuse(spoil())
    chosen = batch.name if name == "all" else name
    with pytest.raises(CommandRefused, match=message):
        accept_batch(shop.control, shop.config, chosen, author)
    assert shop.find(batch).state == "waiting"


def test_a_batch_without_bad_rows_has_no_good_ones_to_choose(shop: Shop) -> None:
    rows = pd.concat([FIRST.assign(id=FIRST["id"] + 10**6 * turn) for turn in range(1, 12)])
    batch = shop.refuse(rows)
    with pytest.raises(CommandRefused, match="no bad row is listed"):
        shop.accept(batch, good=True)


def test_a_batch_of_a_schema_with_other_columns_is_refused_before_a_decision(shop: Shop) -> None:
    batch = shop.refuse(spoil())
    path = shop.home.quarantine("shop") / batch.name / "batch.parquet"
    parquet.write_table(parquet.read_table(path).rename_columns(["id", "old", "c", "y"]), path)
    with pytest.raises(DataInvalid, match="column 'old' is unknown"):
        shop.accept(batch)
    assert shop.find(batch).state == "waiting"


def test_a_damaged_batch_is_named_and_the_others_are_decided(shop: Shop) -> None:
    damaged = shop.refuse(spoil())
    other = shop.refuse(spoil(rows=BATCH.assign(id=BATCH["id"] + 10**7)))
    path = shop.home.quarantine("shop") / damaged.name / "verdict.json"
    path.write_text("{")
    assert {item.name: item.state for item in shop.list()}[damaged.name] == "damaged"
    with pytest.raises(DataInvalid, match=r"a file is damaged.*next: restore"):
        shop.accept(damaged)
    assert shop.accept(other).rows == 150
    path.write_text(json.dumps({"reason": "old"}))
    with pytest.raises(DataInvalid, match="a file is damaged"):
        shop.accept(damaged)


CHANGES = (
    SchemaChange("rename", "x", name="length"),
    SchemaChange("rename", "id", name="key"),
    SchemaChange("add", "extra", "number"),
)


@pytest.mark.parametrize("good", [False, True])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_an_acceptance_holds_whatever_columns_are_renamed_before_or_after(
    shop: Shop, good: bool, first: int
) -> None:
    """The first changes come between refusal and acceptance, the others afterwards."""
    batch = shop.refuse(spoil())
    shop.change(*CHANGES[:first])
    effect = shop.accept(batch, good=good)
    assert effect.rows == (140 if good else 150)
    shop.change(*CHANGES[first:])
    uri, version = shop.uri, latest_version(shop.uri, "shop")
    table, _ = read_version(uri, "shop", version, "key")
    before, _ = read_version(uri, "shop", 0, "key", shop.config.data.columns)
    assert max(table["length"].to_pylist()) == (max(before["length"].to_pylist()) if good else 99)
    exceptions = read_exceptions(shop.home.exceptions("shop"), uri)
    earlier = EarlierBatches(exceptions=exceptions)
    evidence = measure_data(shop.config, table, before, "test", earlier=earlier)
    verdict = DataGate(shop.config.data).judge(evidence)
    assert verdict.passed, verdict.message
    if good:  # those that stay behind have the old names, and a way back too
        rest = next(item for item in shop.list() if item.state == "waiting")
        assert shop.accept(rest).rows == 10
