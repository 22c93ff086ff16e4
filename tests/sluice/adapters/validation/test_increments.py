"""A batch that is to be appended: what it can show is judged, what it cannot is listed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sluice.adapters.validation.expectations import measure_data
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import EarlierBatches
from sluice.data.batches.exceptions import gather_exceptions, list_exceptions
from sluice.gates.data import DataEvidence, DataGate
from sluice.verdict import Outcome, Verdict
from support.releases.own_data import CASES, OwnWorld, read_table

FIRST = pd.read_csv(CASES / "11_small_increment.csv")
BATCH = pd.read_csv(CASES / "11_small_increment_batch2_150_rows.csv")
SIZES = (len(FIRST),)
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnWorld]:
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("increments")
        patch.setenv("SLUICE_HOME", str(root / "home"))
        yield OwnWorld(root, patch)


@pytest.fixture(scope="module")
def small(world: OwnWorld) -> ServiceConfig:
    return world.init(CASES / "11_small_increment.csv", "y", service="small")


@pytest.fixture
def parcels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[OwnWorld, ServiceConfig]:
    """A service with every kind of rule, in a world whose rules the test may change."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    world = OwnWorld(tmp_path, monkeypatch)
    rows = make_parcels(0, 1_000, np.random.default_rng(5))  # the same file, so one trial
    rows.to_csv(tmp_path / "parcels.csv", index=False)
    config = world.init(tmp_path / "parcels.csv", "late", id="key", time="day", positive="yes")
    return world, config


def make_parcels(first: int, rows: int, draw: np.random.Generator = RNG) -> pd.DataFrame:
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.sort(draw.integers(0, 40, rows)), "D")
    weight = draw.random(rows).round(3)
    return pd.DataFrame(
        {
            "key": np.arange(first, first + rows),
            "day": days.strftime("%Y-%m-%d"),
            "index": (days - pd.Timestamp("2026-01-01")).days,
            "region": draw.choice(["north", "south"], rows),
            "weight": weight,
            "late": np.where(weight + 0.5 * draw.normal(size=rows) > 0.5, "yes", "no"),
        }
    )


def judge(
    config: ServiceConfig,
    batch: pa.Table,
    table: pa.Table | None,
    sizes: tuple[int, ...] = SIZES,
) -> tuple[DataEvidence, Verdict]:
    evidence = measure_data(config, batch, table, "test", earlier=EarlierBatches(sizes))
    return evidence, DataGate(config.data).judge(evidence)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in verdict.checks}


def halted(verdict: Verdict) -> set[str]:
    stops = (Outcome.FAIL, Outcome.INSUFFICIENT)
    return {check.name for check in verdict.checks if check.outcome in stops}


@pytest.mark.parametrize("rows", [1, 2, 20, 150])
def test_a_small_batch_passes(small: ServiceConfig, rows: int) -> None:
    table, batch = read_table(small, FIRST), read_table(small, BATCH.head(rows))
    _, verdict = judge(small, batch, table)
    assert verdict.passed, verdict.message
    leakage = next(check for check in verdict.checks if check.name.startswith("target leakage"))
    assert leakage.outcome is Outcome.PASS
    assert leakage.n == len(FIRST) + rows
    assert any("judged at release" in notice for notice in verdict.notices)


def test_a_batch_before_any_table_may_be_small(small: ServiceConfig) -> None:
    _, verdict = judge(small, read_table(small, BATCH.head(3)), None, ())
    assert verdict.passed, verdict.message
    assert outcomes(verdict)["rows"] is Outcome.LISTED
    assert outcomes(verdict)["target leakage of x"] is Outcome.LISTED


def test_a_release_of_so_few_rows_halts(small: ServiceConfig) -> None:
    table = read_table(small, BATCH.head(100))
    verdict = DataGate(small.data).judge(measure_data(small, table, None, "test"))
    assert {"rows", "target leakage of x"} <= halted(verdict)


def test_a_leak_of_a_large_batch_is_found(small: ServiceConfig) -> None:
    leak = FIRST.head(400).assign(id=FIRST["id"].head(400) + 500_000)
    leak["x"] = np.where(leak["y"] == "yes", 1.0, -1.0) + 0.1 * RNG.normal(size=400)
    _, verdict = judge(small, read_table(small, leak), read_table(small, FIRST))
    assert "target leakage of x" in halted(verdict)


def test_few_new_categories_are_listed_and_many_are_refused(small: ServiceConfig) -> None:
    table = read_table(small, FIRST)
    rare = BATCH.assign(c=["new", *BATCH["c"][1:]])
    _, verdict = judge(small, read_table(small, rare), table)
    assert verdict.passed, verdict.message
    assert any("1 of 150 rows outside the set" in notice for notice in verdict.notices)
    one = BATCH.head(1).assign(c="new")
    _, verdict = judge(small, read_table(small, one), table)
    assert verdict.passed, verdict.message
    assert outcomes(verdict)["c in set"] is Outcome.LISTED
    _, verdict = judge(small, read_table(small, BATCH.assign(c="new")), table)
    assert halted(verdict) == {"c in set"}


def test_a_late_backfill_is_fresh(parcels: tuple[OwnWorld, ServiceConfig]) -> None:
    _, config = parcels
    late = make_parcels(5_000, 30)
    late["day"], late["index"] = "2025-12-01", -31
    table, batch = read_table(config, make_parcels(0, 1_000)), read_table(config, late)
    _, verdict = judge(config, batch, table)
    assert verdict.passed, verdict.message
    assert outcomes(verdict)["freshness of day"] is Outcome.PASS


def test_a_table_that_lost_its_newest_rows_is_not_fresh(
    parcels: tuple[OwnWorld, ServiceConfig],
) -> None:
    _, config = parcels
    whole = make_parcels(0, 1_000)
    lost = read_table(config, whole[whole["day"] < "2026-02-01"])
    evidence = measure_data(config, lost, read_table(config, whole), "test")
    verdict = DataGate(config.data).judge(evidence)
    assert outcomes(verdict)["freshness of day"] is Outcome.LISTED  # no new rows
    more = pd.concat(
        [
            whole[whole["day"] < "2026-02-01"],
            make_parcels(9_000, 5).assign(day="2026-01-03", index=2),
        ]
    )
    evidence = measure_data(config, read_table(config, more), read_table(config, whole), "test")
    verdict = DataGate(config.data).judge(evidence)
    assert outcomes(verdict)["freshness of day"] is Outcome.FAIL


def test_a_function_of_time_has_no_rule_on_old_values(
    parcels: tuple[OwnWorld, ServiceConfig],
) -> None:
    _, config = parcels
    later = make_parcels(5_000, 900)
    later["day"], later["index"] = "2027-01-01", 365
    _, verdict = judge(
        config, read_table(config, later), read_table(config, make_parcels(0, 1_000))
    )
    assert verdict.passed, verdict.message
    assert "distribution of index" not in outcomes(verdict)
    broken = make_parcels(8_000, 900)
    broken["index"] = broken["index"].to_numpy()[::-1]
    _, verdict = judge(
        config, read_table(config, broken), read_table(config, make_parcels(0, 1_000))
    )
    assert halted(verdict) == {"index grows with day"}
    assert verdict.reason.startswith("index grows with day: index falls in ")


FAULTS = {
    "range": lambda rows: rows.assign(weight=rows["weight"] + 900.0),
    "set": lambda rows: rows.assign(region="new harbour"),
    "set of the target": lambda rows: rows.assign(late=["?", "?", *rows["late"][2:]]),
    "nulls": lambda rows: rows.assign(weight=rows["weight"].where(rows.index % 3 > 0)),
    "distribution": lambda rows: rows.assign(weight=(rows["weight"] ** 3).round(6)),
    "categories": lambda rows: rows.assign(region="north"),
    "multiplied rows": lambda _: make_parcels(5_000, 11_000),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_the_commands_of_the_next_step_let_the_rules_pass(
    name: str, parcels: tuple[OwnWorld, ServiceConfig]
) -> None:
    """Each rule that halts is named with its number and the words that change it."""
    world, config = parcels
    rows = FAULTS[name](make_parcels(5_000, 700))
    table, batch = read_table(config, make_parcels(0, 1_000)), read_table(config, rows)
    evidence, verdict = judge(config, batch, table, (1_000,))
    broken = [rule for rule in evidence.rules if rule.state == "broken"]
    assert broken
    assert not verdict.passed
    assert f"`sluice expect parcels {broken[0].change}`" in verdict.next_step or len(broken) > 1
    assert all(rule.change for rule in broken)
    for rule in broken:
        world.expect("parcels", rule.change)
    again, _ = judge(config, batch, table, (1_000,))
    assert [rule.name for rule in again.rules if rule.state == "broken"] == []


def test_accepted_rows_no_longer_break_the_rules(
    parcels: tuple[OwnWorld, ServiceConfig],
) -> None:
    """Those of the same kind in other rows still do."""
    _, config = parcels
    rows = make_parcels(5_000, 700)
    rows["weight"] = np.where(rows.index < 40, 900.0, (rows["weight"] ** 3).round(6))
    table, batch = read_table(config, make_parcels(0, 1_000)), read_table(config, rows)
    evidence, verdict = judge(config, batch, table)
    assert {"distribution of weight"} < halted(verdict)
    accepted = list_exceptions(verdict, evidence.bad_rows, batch["key"])
    exceptions = gather_exceptions([accepted])
    whole = pa.concat_tables([table, batch])
    without = DataGate(config.data).judge(measure_data(config, whole, table, "test"))
    assert halted(without) == halted(verdict)
    earlier = EarlierBatches(exceptions=exceptions)
    found = DataGate(config.data).judge(measure_data(config, whole, table, "test", earlier=earlier))
    assert found.passed, found.message
    assert any("40 rows were accepted by a person" in notice for notice in found.notices)
    other = make_parcels(7_000, 3).assign(weight=900.0)
    more = pa.concat_tables([whole, read_table(config, other)])
    found = DataGate(config.data).judge(measure_data(config, more, table, "test", earlier=earlier))
    assert "3 of 1,703 rows out of range" in found.reason


def test_a_feed_shares_its_error_rate_over_batches(
    parcels: tuple[OwnWorld, ServiceConfig],
) -> None:
    """A difference that one comparison in a thousand shows by chance halts no honest feed."""
    _, config = parcels
    table = make_parcels(0, 1_000)
    shifted = make_parcels(5_000, 700)
    shifted["weight"] = (shifted["weight"] ** 1.22).round(6)
    batch, before = read_table(config, shifted), read_table(config, table)
    assert halted(judge(config, batch, before, (1_000,))[1]) == {"distribution of weight"}
    assert halted(judge(config, batch, before, (200,) * 40)[1]) == set()
