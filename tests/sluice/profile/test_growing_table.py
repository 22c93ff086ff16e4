"""The rules that `init` proposes hold for the rows that a table gets when it grows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.releases.own_data import OwnWorld

RNG = np.random.default_rng(11)


def make_rows(first: int, rows: int, day: int = 0) -> pd.DataFrame:
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(
        day + np.sort(RNG.integers(0, 60, rows)), "D"
    )
    return pd.DataFrame(
        {
            "key": np.arange(first, first + rows),
            "day": days.strftime("%Y-%m-%d"),
            "month": days.month,
            "index": (days - pd.Timestamp("2026-01-01")).days,
            "week_name": "w" + days.isocalendar().week.astype(str).to_numpy(),
            "price": RNG.lognormal(3.0, 1.0, rows).round(2),
            "town": RNG.choice(["ayr", "bute"], rows),
            "sold": RNG.choice(["yes", "no"], rows),
        }
    )


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    root: Path = tmp_path_factory.mktemp("growing")
    with pytest.MonkeyPatch.context() as patch:
        world = OwnWorld(root, patch)
        make_rows(0, 1_500).to_csv(root / "shop.csv", index=False)
        roles = {"id": "key", "time": "day", "sensitive": "town", "favourable": "yes"}
        world.init(root / "shop.csv", "sold", **roles, reason="")
        suite = json.loads((world.suites / "expectations" / "shop.json").read_text())
    found: list[dict[str, Any]] = suite["expectations"]
    return found


def kinds_of(rules: list[dict[str, Any]], column: str) -> set[str]:
    return {rule["type"] for rule in rules if rule["kwargs"].get("column") == column}


def find(rules: list[dict[str, Any]], column: str, kind: str) -> dict[str, Any]:
    return next(
        rule["kwargs"]
        for rule in rules
        if rule["kwargs"].get("column") == column and rule["type"].endswith(kind)
    )


def test_a_long_tail_has_room_for_later_rows(rules: list[dict[str, Any]]) -> None:
    bounds = find(rules, "price", "be_between")
    later = make_rows(0, 200_000)["price"]
    assert later.max() <= bounds["max_value"]
    assert bounds["max_value"] < 1e6
    assert bounds["min_value"] == 0.0


@pytest.mark.parametrize("column", ["month", "index", "week_name"])
def test_a_function_of_time_is_not_compared_with_old_values(
    rules: list[dict[str, Any]], column: str
) -> None:
    kinds = kinds_of(rules, column)
    assert not any(kind.endswith(("in_set", "match_previous")) for kind in kinds)


def test_a_date_part_has_its_own_range(rules: list[dict[str, Any]]) -> None:
    assert find(rules, "month", "be_between")["max_value"] == 12.0
    assert find(rules, "index", "grow_with_time")["time"] == "day"


def test_a_sensitive_column_and_the_target_are_closed(rules: list[dict[str, Any]]) -> None:
    assert "mostly" not in find(rules, "town", "in_set")
    assert "mostly" not in find(rules, "sold", "in_set")


def test_volume_follows_the_feed(rules: list[dict[str, Any]]) -> None:
    kinds = {rule["type"] for rule in rules}
    assert "expect_new_rows_to_follow_feed" in kinds
    assert not kinds & {
        "expect_table_row_count_to_be_between",
        "expect_new_rows_to_be_share_of_previous",
    }
