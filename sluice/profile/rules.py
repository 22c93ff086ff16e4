"""Data rules of a service: the ones that `init` proposes, and changes by number."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.config.data import DataConfig
from sluice.data.time_functions import TimeFunction
from sluice.errors import RuleInvalid
from sluice.profile.draft import Draft
from sluice.profile.facts.columns import ColumnFacts

COLUMNS = "expect_table_columns_to_match_set"
KIND = "expect_column_to_be_of_kind"
NOT_NULL = "expect_column_values_to_not_be_null"
UNIQUE = "expect_column_values_to_be_unique"
RANGE = "expect_column_values_to_be_between"
SET = "expect_column_values_to_be_in_set"
ROWS = "expect_table_row_count_to_be_between"
SHARE = "expect_new_rows_to_be_share_of_previous"
FEED = "expect_new_rows_to_follow_feed"
GROWS = "expect_column_to_grow_with_time"
FRESH = "expect_column_newest_to_be_no_older_than_previous"
DISTRIBUTION = "expect_column_distribution_to_match_previous"
ALARM: dict[str, Any] = {
    "alpha": 0.01,
    "minimum_distance": 0.05,
    "minimum_nulls": 0.02,
    "minimum_psi": 0.02,
    "minimum_rows": 500,
    "tests": {"$PARAMETER": "distribution_tests"},
}
"""Arguments of each distribution rule; the number of tests is known only when it runs."""
RARE = 5
"""Fewest rows per value, on average, for a column's values to become a closed set."""
LONG_TAIL = 10.0
"""Largest value, as a multiple of the median, from which a column has a long tail."""
KNOWN_SHARE = 0.95
"""Least share of rows whose category was seen before: a new one is normal while it is rare."""
FEED_TIMES = 10.0
"""Largest batch that is no finding, as a multiple of the largest one so far."""
UNLIKE = ("text", "ngrams", "date", "calendar")
"""Encodings of columns in which every row has a value of its own: they have no distribution."""
TABLE = "table"
"""The word in place of a column for a rule on the table."""
WIDENING = 0.5
"""How far a range extends beyond the seen values on each side, as a share of their width."""
RULES = {
    "range": RANGE,
    "set": SET,
    "not-null": NOT_NULL,
    "unique": UNIQUE,
    "distribution": DISTRIBUTION,
    "feed": FEED,
    "share": SHARE,
    "rows": ROWS,
}
"""Names of the rules that a person can add, and the type of expectation of each."""
USAGE = {
    RANGE: "range LOW HIGH (- for an open side)",
    SET: "set VALUE VALUE ... (edit N + VALUE ... adds values to it)",
    NOT_NULL: "not-null [SHARE of the rows, such as 0.98]",
    UNIQUE: "unique",
    DISTRIBUTION: "distribution [KS PSI [NULLS]] (floors of the effect, such as 0.1 0.05 0.02)",
    FEED: "feed [SHARE TIMES] (of `table`; SHARE of the usual batch, TIMES the largest)",
    SHARE: "share SHARE (of `table`; new rows for each row of the previous version)",
    ROWS: "rows LOW HIGH (of `table`)",
}
OF_TABLE = (FEED, SHARE, ROWS)
"""The rules that are not about a column."""
KINDS: dict[str, tuple[str, ...]] = {
    RANGE: ("integer", "number"),
    SET: ("integer", "text", "boolean"),
    NOT_NULL: ("integer", "number", "text", "boolean", "timestamp"),
    UNIQUE: ("integer", "number", "text", "timestamp"),
    DISTRIBUTION: ("integer", "number", "text", "boolean"),
}
"""The kinds of column that each rule can be evaluated on."""


@dataclass(frozen=True)
class DataRule:
    """One expectation of a suite: its type, its arguments, and a note for readers."""

    type: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    notes: str = ""


def propose_rules(
    draft: Draft,
    follows: Mapping[str, TimeFunction] | None = None,
    medians: Mapping[str, float] | None = None,
) -> tuple[DataRule, ...]:
    """Return the rules that the file suggests; `sluice expect` can change each of them.

    Columns in `follows` are functions of time: they have neither a range or set of the file's
    values nor a rule on their distribution. `medians` show which columns have a long tail.
    """
    follows, medians = follows or {}, medians or {}
    names = [column.name for column in draft.columns]
    data, target = draft.data, draft.roles.target
    values = [column for column in draft.columns if column.name not in (data.id, data.time)]
    rules = [DataRule(COLUMNS, {"column_set": names})]
    rules += [DataRule(KIND, {"column": item.name, "kind": item.kind}) for item in draft.columns]
    rules += [
        DataRule(NOT_NULL, {"column": item.name}) for item in draft.columns if item.nulls == 0
    ]
    rules.append(DataRule(UNIQUE, {"column": data.id}))
    classes = draft.problem != "regression"
    rules += [
        widen_range(item, medians.get(item.name, 0.0))
        for item in values
        if item.numeric
        and item.distinct > 1
        and item.name not in follows
        and not (classes and item.name == target.name)
    ]
    rules += [
        _close_set(item, item.name in draft.sensitive or item.name == target.name)
        for item in values
        if is_closed(item, classes and item.name == target.name) and item.name not in follows
    ]
    rules += _follow_time(draft.data.time, follows)
    rules += _expect_arrival(draft)
    unlike = {name for name, kind in data.encodings.items() if kind in UNLIKE}
    watched = {*data.features, *draft.sensitive, target.name} - unlike
    rules += [
        DataRule(DISTRIBUTION, {"column": item.name, **ALARM})
        for item in values
        if item.name in watched and item.kind != "timestamp" and item.name not in follows
    ]
    return tuple(rules)


def _close_set(column: ColumnFacts, is_strict: bool) -> DataRule:
    kwargs = {"column": column.name, "value_set": list(column.levels)}
    if is_strict or column.kind == "boolean":
        return DataRule(SET, kwargs)
    return DataRule(
        SET,
        {**kwargs, "mostly": KNOWN_SHARE},
        f"New values are normal while they are in at most {1 - KNOWN_SHARE:.0%} of the rows.",
    )


def _follow_time(time: str, follows: Mapping[str, TimeFunction]) -> list[DataRule]:
    """Return the rules on functions of time: a date part's own range, or that it grows."""
    rules = []
    for name, found in follows.items():
        if found.bounds:
            low, high = (float(bound) for bound in found.bounds)
            note = f"The {found.part} of {time}: its range by definition, not the file's."
            kwargs = {"column": name, "min_value": low, "max_value": high}
            rules.append(DataRule(RANGE, kwargs, note))
        elif found.is_exact and found.kind in ("grows", "falls"):
            note = f"It {found.kind} with {time}, so later rows have values that no row had."
            kwargs = {"column": name, "time": time, "falling": found.kind == "falls"}
            rules.append(DataRule(GROWS, kwargs, note))
    return rules


def propose_column(
    column: ColumnFacts,
    watched: bool,
    time: str = "",
    follows: TimeFunction | None = None,
    median: float = 0.0,
) -> tuple[DataRule, ...]:
    """Return the rules of one column that is added later; it may be null, as in the older rows.

    `watched`: its distribution is compared too, as that of a feature. `follows`: it is a function
    of the column `time`, so it has no rule on its values of today. `median` is that of a number.
    """
    rules = [DataRule(KIND, {"column": column.name, "kind": column.kind})]
    if follows is not None:
        return (*rules, *_follow_time(time, {column.name: follows}))
    if column.numeric and column.distinct > 1:
        rules.append(widen_range(column, median))
    if is_closed(column, False):
        rules.append(_close_set(column, False))
    if watched and column.kind != "timestamp":
        rules.append(DataRule(DISTRIBUTION, {"column": column.name, **ALARM}))
    return tuple(rules)


def widen_range(column: ColumnFacts, median: float) -> DataRule:
    """Return the rule of a number's range: as seen, and wider on each side.

    `median` shows whether the column has a long tail; 0 if it is not known.
    """
    low, high = float(column.low), float(column.high)
    reach, how = WIDENING * (high - low), "by half"
    if low >= 0.0 and 0.0 < LONG_TAIL * median < high:
        # Of a long tail a later file has a much larger value: as far again on the log scale.
        reach, how = high * (high / median - 1.0), "for a long tail"
    bounds = [low - reach, high + reach]
    if low >= 0.0 > bounds[0]:
        bounds[0] = 0.0
    if column.kind == "integer":
        bounds = [float(math.floor(bounds[0])), float(math.ceil(bounds[1]))]
    notes = f"Seen {column.low:g} to {column.high:g}; widened {how}, not beyond 0."
    return DataRule(
        RANGE, {"column": column.name, "min_value": bounds[0], "max_value": bounds[1]}, notes
    )


def is_closed(column: ColumnFacts, is_target: bool) -> bool:
    """Return whether the column's values are a closed set, so that another one is a fault."""
    if is_target:
        return True
    if column.kind == "boolean":
        return column.distinct == 2
    known = column.rows - column.nulls
    return column.kind == "text" and len(column.levels) > 1 and known >= RARE * column.distinct


def _expect_arrival(draft: Draft) -> list[DataRule]:
    rules = [
        DataRule(
            FEED,
            {"minimum_share": 0.0, "maximum_times": FEED_TIMES, "window": 28},
            "A batch may have one row. More than ten times the largest batch so far come from a "
            "join that multiplied rows. A share above 0 also halts when the last seven batches "
            "are small.",
        )
    ]
    if draft.data.time:
        rules.append(DataRule(FRESH, {"column": draft.data.time}))
    return rules


def make_rule(data: DataConfig, column: str, word: str, values: list[str]) -> DataRule:
    """Return the rule of the words `COLUMN RULE VALUES`.

    Raises:
        RuleInvalid: the column or the rule is unknown, or the values do not fit them.
    """
    if word not in RULES:
        close = difflib.get_close_matches(word, RULES, 1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        raise RuleInvalid(f"no rule '{word}'{hint}; allowed: {'; '.join(USAGE.values())}")
    if RULES[word] in OF_TABLE:
        if column != TABLE:
            raise RuleInvalid(f"found `{word}` of '{column}'; allowed: {TABLE} {word}")
        return DataRule(RULES[word], _read_values(RULES[word], "", values))
    if column not in data.columns:
        close = difflib.get_close_matches(column, data.columns, 1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise RuleInvalid(f"no column '{column}'{hint}; allowed: {', '.join(data.columns)}")
    kind, expectation = data.columns[column], RULES[word]
    if kind not in KINDS[expectation]:
        raise RuleInvalid(
            f"`{word}` cannot be evaluated on '{column}', which is {kind}; "
            f"allowed: columns of kind {', '.join(KINDS[expectation])}"
        )
    if expectation == DISTRIBUTION and column == data.id:
        raise RuleInvalid(f"'{column}' is the id: no two versions share its values")
    return DataRule(expectation, {"column": column, **_read_values(expectation, kind, values)})


def check_new(rules: list[dict[str, Any]], rule: DataRule) -> None:
    """Check that the suite does not have the rule yet.

    Raises:
        RuleInvalid: it has; the message names the rule's number.
    """
    for number, there in enumerate(rules, 1):
        column = rule.kwargs.get("column")
        if there["kwargs"].get("column") == column and there["type"] == rule.type:
            raise RuleInvalid(
                f"rule {number} is the same rule on '{column or TABLE}'; edit {number} instead"
            )


def find_rule(rules: list[dict[str, Any]], number: str) -> int:
    """Return the index, from 0, of the rule with a number of the list.

    Raises:
        RuleInvalid: there is no rule of that number.
    """
    if not number.isdigit() or not 1 <= int(number) <= len(rules):
        raise RuleInvalid(f"no rule {number!r}; allowed: 1 to {len(rules)}, as in the list")
    return int(number) - 1


def edit_rule(rule: dict[str, Any], data: DataConfig, values: list[str]) -> dict[str, Any]:
    """Return the rule with other values: its id, notes and severity stay.

    Raises:
        RuleInvalid: its kind has no values, or the values do not fit.
    """
    word = next((word for word, kind in RULES.items() if kind == rule["type"]), None)
    if word in (None, "unique"):
        raise RuleInvalid(
            f"{rule['type']} has no values that can be typed; allowed: "
            f"{', '.join(name for name in RULES if name != 'unique')}; "
            "remove it, or edit the suite's file"
        )
    kwargs = rule["kwargs"]
    if rule["type"] == SET and values[:1] == ["+"]:
        values = [*(str(value) for value in kwargs["value_set"]), *values[1:]]
    if rule["type"] in (DISTRIBUTION, *OF_TABLE):
        return {**rule, "kwargs": {**kwargs, **_read_limits(rule["type"], values)}}
    changed = make_rule(data, kwargs["column"], str(word), values)
    kept = {"mostly": kwargs["mostly"]} if rule["type"] == SET and "mostly" in kwargs else {}
    return {**rule, "kwargs": {**kept, **changed.kwargs}}


def check_removable(rule: dict[str, Any], data: DataConfig) -> None:
    """Check that a rule may be removed.

    Raises:
        RuleInvalid: it is the rule that the id is unique, or never null.
    """
    if rule["kwargs"].get("column") == data.id and rule["type"] in (UNIQUE, NOT_NULL):
        raise RuleInvalid(
            f"'{data.id}' is the id, and the split depends on it: this rule stays; "
            "name another id in the configuration first"
        )


def describe_rule(rule: dict[str, Any]) -> str:
    """Return a rule's values as a person types them."""
    kwargs = rule["kwargs"]
    if rule["type"] == RANGE:
        low, high = (kwargs.get(key) for key in ("min_value", "max_value"))
        return " ".join("-" if bound is None else f"{bound:g}" for bound in (low, high))
    if rule["type"] == SET:
        share = kwargs.get("mostly", 1.0)
        tolerated = f" (in {share:g} of the rows)" if share < 1.0 else ""
        return " ".join(str(value) for value in kwargs["value_set"]) + tolerated
    if rule["type"] == DISTRIBUTION:
        names = {"KS": "minimum_distance", "PSI": "minimum_psi", "nulls": "minimum_nulls"}
        return ", ".join(f"{word} {kwargs.get(key, ALARM[key]):g}" for word, key in names.items())
    if rule["type"] == FEED:
        share, times = kwargs.get("minimum_share", 0.0), kwargs.get("maximum_times", FEED_TIMES)
        return f"share {share:g}, times {times:g}"
    skipped = {"column", "column_set"}
    return ", ".join(f"{key} {value}" for key, value in kwargs.items() if key not in skipped)


def _read_values(expectation: str, kind: str, values: list[str]) -> dict[str, Any]:
    if expectation == RANGE:
        return _read_range(values)
    if expectation == SET:
        if not values:
            raise RuleInvalid(f"no values; allowed: {USAGE[SET]}")
        return {"value_set": list(dict.fromkeys(_read_value(kind, value) for value in values))}
    if expectation == NOT_NULL and values:
        share = _read_number(values[0])
        if len(values) > 1 or not 0.0 < share <= 1.0:
            raise RuleInvalid(f"found {' '.join(values)}; allowed: a share above 0, at most 1")
        return {"mostly": share} if share < 1.0 else {}
    if expectation in (SHARE, ROWS) or (expectation in (DISTRIBUTION, FEED) and values):
        defaults = ALARM if expectation == DISTRIBUTION else {}
        return {**defaults, **_read_limits(expectation, values)}
    if values:
        raise RuleInvalid(f"found {' '.join(values)}; allowed: {USAGE[expectation]}")
    defaults = {DISTRIBUTION: ALARM, FEED: {"minimum_share": 0.0, "maximum_times": FEED_TIMES}}
    return dict(defaults.get(expectation, {}))


def _read_limits(expectation: str, values: list[str]) -> dict[str, Any]:
    """Return the numbers of a rule on a distribution or on the table.

    Raises:
        RuleInvalid: there are too many or too few, or one is out of range.
    """
    numbers = [_read_number(value) for value in values]
    names = {
        DISTRIBUTION: ("minimum_distance", "minimum_psi", "minimum_nulls")[: max(2, len(values))],
        FEED: ("minimum_share", "maximum_times"),
        SHARE: ("minimum_share",),
        ROWS: ("min_value", "max_value"),
    }[expectation]
    if len(numbers) != len(names) or min(numbers) < 0.0:
        raise RuleInvalid(f"found {' '.join(values) or 'nothing'}; allowed: {USAGE[expectation]}")
    found: dict[str, Any] = dict(zip(names, numbers, strict=True))
    if expectation == FEED and found["maximum_times"] < 1.0:
        raise RuleInvalid(f"found {values[1]}; allowed: TIMES of at least 1")
    if expectation == ROWS:
        if numbers[0] > numbers[1]:
            raise RuleInvalid(f"found {' '.join(values)}; allowed: the lower one first")
        return {name: int(number) for name, number in found.items()}
    return found


def _read_range(values: list[str]) -> dict[str, Any]:
    if len(values) != 2 or values == ["-", "-"]:
        raise RuleInvalid(f"found {' '.join(values) or 'nothing'}; allowed: {USAGE[RANGE]}")
    low, high = (None if value == "-" else _read_number(value) for value in values)
    if low is not None and high is not None and low > high:
        raise RuleInvalid(f"found {low:g} to {high:g}; allowed: the lower one first")
    found = {"min_value": low, "max_value": high}
    return {key: value for key, value in found.items() if value is not None}


def _read_number(value: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise RuleInvalid(f"found {value!r}; allowed: a number") from error
    if not math.isfinite(number):
        raise RuleInvalid(f"found {value!r}; allowed: a finite number")
    return number


def _read_value(kind: str, value: str) -> Any:
    if kind == "text":
        return value
    if kind == "boolean":
        if value.lower() not in ("true", "false"):
            raise RuleInvalid(f"found {value!r}; allowed: true, false")
        return value.lower() == "true"
    number = _read_number(value)
    if not number.is_integer():
        raise RuleInvalid(f"found {value!r}; allowed: whole numbers")
    return int(number)
