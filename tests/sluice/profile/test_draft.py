"""Too few rows are refused; ids are no features; groups stay on one side of the split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sluice.data.split import split_rows
from sluice.errors import DataInvalid
from sluice.profile.draft import InitOptions, assign_roles
from support.releases.drafts import draft_frame, draw_rows
from support.releases.runs import facts_of

pytestmark = pytest.mark.usefixtures("two_candidates")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ([0, 1] * 40, "on 24 rows chance alone moves an accuracy by 0.16; bring at least 200"),
        ([n / 7 for n in range(80)], "a mean error, in shares of its own spread, by 0.34; bring"),
    ],
)
def test_eighty_rows_are_refused_with_the_effect_of_chance(target: list[float], words: str) -> None:
    columns = facts_of(row_id=list(range(80)), size=[n % 9 / 2 for n in range(80)], target=target)
    with pytest.raises(DataInvalid, match=words):
        assign_roles(columns, InitOptions("target"), "file.csv")


def test_an_id_is_never_a_feature(tmp_path: Path) -> None:
    rows = draw_rows(800)
    random = np.random.default_rng(1)
    rows["customer_id"] = random.integers(0, 300, 800) + 10_000
    rows["ticket_no"] = random.permutation(800) * 7 + 3
    rows["position"] = np.arange(800)[::-1] + 5
    rows["y"] = np.where(rows["size"] + random.normal(size=800) > 0, "yes", "no")
    drafted = draft_frame(tmp_path, rows, "y", id="row_id")
    left_out = drafted.draft.left_out
    assert left_out["customer_id"] == "the group of the split"
    assert left_out["ticket_no"].startswith("an id")
    assert left_out["position"] == "it only counts the rows"
    assert (drafted.config.split.group, drafted.config.split.by) == ("customer_id", "hash")
    assert "group: customer_id" in drafted.text
    held = split_rows(drafted.frame, drafted.config.data, drafted.config.split).holdout
    people = drafted.frame["customer_id"]
    assert not set(people[held]) & set(people[~held])
    alone = draft_frame(tmp_path, rows, "y", id="row_id", group="none")
    assert alone.config.split.group == ""
    assert alone.draft.left_out["customer_id"].startswith("an id")


def test_rows_split_by_time_suggest_no_group(tmp_path: Path) -> None:
    """A returning customer is on both sides in use as well: the model predicts their next row."""
    rows = draw_rows(800)
    random = np.random.default_rng(2)
    rows["customer_id"] = random.integers(0, 300, 800)
    rows["day"] = pd.date_range("2026-01-01", periods=800, freq="6h").strftime("%Y-%m-%dT%H:%MZ")
    rows["y"] = np.where(rows["size"] + random.normal(size=800) > 0, "yes", "no")
    drafted = draft_frame(tmp_path, rows, "y")
    assert (drafted.config.split.by, drafted.config.split.group) == ("time", "")
    assert "customer_id" not in drafted.config.data.features
