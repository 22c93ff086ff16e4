"""What a person accepted is recorded by row and rule, and nothing else is let through."""

import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sluice.adapters.validation.rules import name_rule
from sluice.data.batches.exceptions import (
    follow_schema,
    gather_exceptions,
    list_exceptions,
    split_bad_rows,
)
from sluice.data.evolution import SchemaChange
from sluice.gates.data import LEAKAGE
from sluice.profile.rules import DISTRIBUTION, GROWS, SHARE
from sluice.verdict import Check, Outcome, Verdict

IDS = st.lists(st.integers(0, 50), unique=True, min_size=1, max_size=30)


def refuse(*checks: Check) -> Verdict:
    return Verdict("data", Outcome.FAIL, checks, "", "")


def bad_rows(ids: list[int], column: str = "x") -> pa.Table:
    texts = [str(value) for value in ids]
    names = {"rule": [f"{column} in set"] * len(ids), "column": [column] * len(ids)}
    return pa.table({**names, "key": texts, "value": texts}, schema=TEXTS)


TEXTS = pa.schema([(name, pa.string()) for name in ("rule", "column", "key", "value")])


@given(IDS, IDS)
def test_good_and_bad_rows_are_the_batch(ids: list[int], bad: list[int]) -> None:
    batch = pa.table({"key": pa.array(ids, pa.int64())})
    good, others = split_bad_rows(batch, bad_rows(bad), "key")
    assert set(others["key"].to_pylist()) == set(ids) & set(bad)
    assert sorted([*good["key"].to_pylist(), *others["key"].to_pylist()]) == sorted(ids)


@given(IDS, IDS)
def test_only_the_cells_of_accepted_rows_are_covered(ids: list[int], bad: list[int]) -> None:
    checks = (Check("x in set", Outcome.FAIL), Check("y in set", Outcome.PASS))
    accepted = list_exceptions(refuse(*checks), bad_rows(bad), pa.chunked_array([ids]))
    found = gather_exceptions([accepted])
    assert found.cells == {("x", str(value)) for value in set(ids) & set(bad)}
    assert found.rows == {}
    assert not found.covers("y", ids[0])


@given(IDS)
def test_a_rule_on_a_whole_column_leaves_the_batch_out(ids: list[int]) -> None:
    checks = (Check("distribution of x", Outcome.FAIL), Check("rows", Outcome.LISTED))
    accepted = list_exceptions(refuse(*checks), bad_rows([]), pa.chunked_array([ids]))
    found = gather_exceptions([accepted])
    assert set(found.rows) == {"distribution of x"}
    frame = pd.DataFrame({"key": [*ids, 999]})
    assert found.leave_out("distribution of x", frame, "key")["key"].tolist() == [999]
    assert len(found.leave_out("distribution of y", frame, "key")) == len(frame)


def name_rules(column: str, time: str) -> set[str]:
    """Return the names of the rules that leave accepted rows out, as the gate has them."""
    arguments = {"column": column, "time": time}
    kinds = (DISTRIBUTION, GROWS, SHARE)
    return {*(name_rule(kind, arguments) for kind in kinds), f"{LEAKAGE}{column}"}


def test_exceptions_follow_a_column_to_its_new_name_and_go_with_it() -> None:
    checks = (Check(name, Outcome.FAIL) for name in name_rules("x", "day"))
    accepted = list_exceptions(refuse(*checks), bad_rows([1, 2]), pa.chunked_array([[1, 2, 3]]))
    renames = [SchemaChange("rename", "x", name="a b"), SchemaChange("rename", "day", name="x")]
    found = gather_exceptions([follow_schema(accepted, renames)])
    assert set(found.rows) == name_rules("a b", "x")
    assert found.covers("a b", 1)
    assert not found.covers("x", 1)
    gone = gather_exceptions([follow_schema(accepted, [SchemaChange("drop", "x")])])
    assert set(gone.rows) == {"new rows"}
    assert not gone.cells
    others = [SchemaChange("add", "n", "text"), SchemaChange("rename", "new rows", name="y")]
    assert follow_schema(accepted, others).to_pylist() == accepted.to_pylist()
