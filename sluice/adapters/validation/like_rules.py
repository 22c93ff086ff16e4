"""Rules of one kind on many columns, evaluated as one expectation with a result for each.

The library needs about 8 ms of CPU for a rule beside what the rule itself costs: 6,017 rules of a
table with 1,500 columns took 158 s. The suite's file keeps one rule a column, by which people name
and change it; only what the library evaluates is one rule a kind.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sluice.profile.rules import DISTRIBUTION, KIND, NOT_NULL, RANGE, SET

if TYPE_CHECKING:
    import pandas as pd

GROUP = "expect_columns_to_keep_like_rules"
LEAST = 20
"""Fewest rules of one kind that are evaluated as one."""
TESTS = "tests"
ARGUMENTS: dict[str, frozenset[str]] = {
    KIND: frozenset({"column", "kind"}),
    NOT_NULL: frozenset({"column", "mostly"}),
    RANGE: frozenset({"column", "min_value", "max_value", "mostly"}),
    SET: frozenset({"column", "value_set", "mostly"}),
    DISTRIBUTION: frozenset(
        {"column", "alpha", "minimum_distance", "minimum_nulls", "minimum_psi", "minimum_rows"}
    ),
}
"""The kinds of rules that can be evaluated together, and the arguments that are known here."""


@dataclass(frozen=True)
class LikeRule:
    """One rule of a group, with the attributes that are read of the library's own."""

    id: str
    expectation_type: str
    kwargs: dict[str, Any]

    @property
    def configuration(self) -> "LikeRule":
        """Itself: the arguments are its own."""
        return self


@dataclass(frozen=True)
class LikeResult:
    """The result of one rule of a group, with the attributes that are read of the library's."""

    success: bool
    result: dict[str, Any]
    exception_info: dict[str, Any] = field(default_factory=dict)


def group_rules(
    rules: Sequence[dict[str, Any]], frame: "pd.DataFrame", id_column: str
) -> list[dict[str, Any]]:
    """Return the rules as they are evaluated: those of one kind as one where there are many.

    A rule with an argument that is not known here, on a column that the frame lacks, or without
    an id of its own stays alone.
    """
    alike: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        if _can_be_grouped(rule, frame):
            alike.setdefault(_write_key(rule), []).append(rule)
    many = [group for group in alike.values() if len(group) >= LEAST]
    grouped = {id(rule) for group in many for rule in group}
    alone = [rule for rule in rules if id(rule) not in grouped]
    return [*alone, *(_build_group(group, id_column) for group in many)]


def _can_be_grouped(rule: dict[str, Any], frame: "pd.DataFrame") -> bool:
    kind, arguments = rule.get("type"), rule.get("kwargs")
    if kind not in ARGUMENTS or not isinstance(arguments, dict) or not rule.get("id"):
        return False
    if not set(arguments) - {TESTS} <= ARGUMENTS[kind] or arguments.get("column") not in frame:
        return False
    dtype = frame[arguments["column"]].dtype.kind
    bounds = [arguments.get(key) for key in ("min_value", "max_value")]
    if kind == RANGE:
        are_numbers = all(isinstance(item, int | float) for item in bounds if item is not None)
        return dtype in "iuf" and are_numbers and bounds != [None, None]
    return kind != SET or isinstance(arguments.get("value_set"), list)


def _write_key(rule: dict[str, Any]) -> str:
    return json.dumps([rule["type"], rule["kwargs"].get(TESTS)], sort_keys=True)


def _build_group(group: Sequence[dict[str, Any]], id_column: str) -> dict[str, Any]:
    first = group[0]
    rules = {
        rule["id"]: {key: value for key, value in rule["kwargs"].items() if key != TESTS}
        for rule in group
    }
    arguments = {"rule": first["type"], "rules": rules, "id_column": id_column}
    if TESTS in first["kwargs"]:
        arguments[TESTS] = first["kwargs"][TESTS]
    return {
        "id": str(uuid.uuid4()),
        "kwargs": arguments,
        "meta": {},
        "severity": "critical",
        "type": GROUP,
    }


def read_group(arguments: Mapping[str, Any], result: Any) -> list[tuple[LikeRule, Any]]:
    """Return each rule of a group with its result; None where the group has no result."""
    details = (result.result.get("details") or {}) if result is not None else {}
    results = details.get("results") or {}
    pairs: list[tuple[LikeRule, Any]] = []
    for key, values in arguments["rules"].items():
        rule = LikeRule(key, arguments["rule"], values)
        found = results.get(key)
        if found is not None:
            pairs.append((rule, LikeResult(**found)))
        elif result is not None:
            pairs.append((rule, LikeResult(False, {}, result.exception_info)))
        else:
            pairs.append((rule, None))
    return pairs


def order_results(
    pairs: Iterable[tuple[Any, Any]], written: Sequence[dict[str, Any]]
) -> list[tuple[Any, Any]]:
    """Return rules and results in the order of the suite's file.

    A rule that has no id there was evaluated alone, and those are in the file's order already.
    """
    pairs = list(pairs)
    places = {rule.get("id"): place for place, rule in enumerate(written) if rule.get("id")}
    taken = {places[rule.id] for rule, _ in pairs if rule.id in places}
    free = iter(sorted(set(range(len(pairs))) - taken))
    ordered = [(places[rule.id] if rule.id in places else next(free)) for rule, _ in pairs]
    return [pairs[index] for index in sorted(range(len(pairs)), key=ordered.__getitem__)]


def check_values(
    kind: str, arguments: Mapping[str, Any], frame: "pd.DataFrame", id_column: str
) -> dict[str, Any]:
    """Return the result of a rule on each value, as the library reports it.

    Null breaks no rule but `not null`. With `mostly` a share of the values may break it.
    """
    values = frame[arguments["column"]]
    broken = _find_broken(kind, arguments, values)
    rows = [
        {id_column: key, arguments["column"]: value}
        for key, value in zip(frame.loc[broken, id_column], values[broken], strict=True)
    ]
    judged = len(values) if kind == NOT_NULL else int(values.notna().sum())
    share = (judged - len(broken)) / judged if judged else 1.0
    result = {
        "element_count": len(values),
        "unexpected_count": len(broken),
        "unexpected_index_list": rows,
        "unexpected_list": [row[arguments["column"]] for row in rows],
    }
    return {"success": share >= float(arguments.get("mostly", 1.0)), "result": result}


def _find_broken(kind: str, arguments: Mapping[str, Any], values: "pd.Series[Any]") -> Any:
    """Return the labels of the rows that break the rule."""
    if kind == NOT_NULL:
        return values.index[values.isna()]
    present = values.dropna()
    if kind == SET:
        return present.index[~present.isin(arguments["value_set"]).to_numpy(dtype=bool)]
    low, high = arguments.get("min_value"), arguments.get("max_value")
    numbers = present.to_numpy()
    outside = (numbers < low) if low is not None else (numbers != numbers)  # noqa: PLR0124
    if high is not None:
        outside = outside | (numbers > high)
    return present.index[outside.astype(bool)]
