"""The words after `sluice expect` and the service that let a rule pass what it refused.

They are part of messages, so they show no single cell: a value of one row only is left to the
reader, and a bound is rounded outwards.
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from sluice.gates.data import RuleState

MOST_VALUES = 5
"""Most new values of a set that the words name."""
FEWEST_ROWS = 2
"""Fewest rows that have a value which the words name."""
LONGEST = 60
"""Characters of the longest value that the words name."""
DIGITS = 2
"""Significant digits of a new bound."""


def write_change(
    number: int, kind: str, arguments: dict[str, Any], state: RuleState, found: dict[str, Any]
) -> str:
    """Return the words that change rule `number` so that it passes what was found.

    `found` is the library's result. A rule that errored, or that has no values, can be removed.
    """
    values = WRITERS[kind](arguments, found) if state == "broken" and kind in WRITERS else ""
    return f"edit {number} {values}" if values else f"remove {number}"


def _add_values(arguments: dict[str, Any], found: dict[str, Any]) -> str:
    counts = Counter(str(value) for value in found.get("unexpected_list") or [])
    shared = [value for value, rows in counts.most_common(MOST_VALUES) if rows >= FEWEST_ROWS]
    shown = [value for value in shared if _can_be_typed(value)]
    named = [value if _is_word(value) else f"'{value}'" for value in shown]
    more = ["VALUE"] if len(named) < len(counts) else []
    return " ".join(["+", *named, *more])


def _can_be_typed(value: str) -> bool:
    return len(value) <= LONGEST and value.isprintable() and "'" not in value


def _is_word(value: str) -> bool:
    return value.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _extend_range(arguments: dict[str, Any], found: dict[str, Any]) -> str:
    values = [float(value) for value in found.get("unexpected_list") or []]
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is not None:
        low = min([low, *(_round_out(value, math.floor) for value in values if value < low)])
    if high is not None:
        high = max([high, *(_round_out(value, math.ceil) for value in values if value > high)])
    return " ".join("-" if bound is None else f"{bound:.15g}" for bound in (low, high))


def _round_out(value: float, rounding: Callable[[float], int]) -> float:
    """Return the value rounded to two significant digits, by floor or ceiling."""
    if value == 0.0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - DIGITS + 1)
    return float(f"{rounding(value / unit) * unit:.{DIGITS}g}")


def _lower_share(arguments: dict[str, Any], found: dict[str, Any]) -> str:
    share = 1.0 - int(found["unexpected_count"]) / max(int(found["element_count"]), 1)
    return f"{_floor(share):g}" if _floor(share) > 0.0 else ""


def _raise_floor(arguments: dict[str, Any], found: dict[str, Any]) -> str:
    floors = {
        "KS distance": float(arguments.get("minimum_distance", 0.05)),
        "PSI": float(arguments.get("minimum_psi", 0.02)),
        "null share": float(arguments.get("minimum_nulls", 0.02)),
    }
    observed = math.ceil(float(found["observed_value"]) * 1000) / 1000
    floors[found["details"]["measure"]] = observed
    return " ".join(f"{value:g}" for value in floors.values())


def _lower_growth(arguments: dict[str, Any], found: dict[str, Any]) -> str:
    return f"{_floor(found['observed_value'] / max(found['details']['n'], 1)):g}"


def _follow_feed(arguments: dict[str, Any], found: dict[str, Any]) -> str:
    share = float(arguments.get("minimum_share", 0.0))
    times = float(arguments.get("maximum_times", 10.0))
    observed, limit = float(found["observed_value"]), float(found["details"]["limit"])
    if observed > limit:
        return f"{share:g} {math.ceil(times * observed / limit):g}"
    return f"{_floor(share * observed / limit):g} {times:g}"


def _widen_count(arguments: dict[str, Any], found: dict[str, Any]) -> str:
    rows = int(found["observed_value"])
    low, high = arguments.get("min_value"), arguments.get("max_value")
    low = rows if low is None else min(rows, low)
    high = 10 * rows if high is None else max(rows, high)
    return f"{low} {high}"


def _floor(share: float) -> float:
    return math.floor(share * 1000) / 1000


WRITERS: dict[str, Callable[[dict[str, Any], dict[str, Any]], str]] = {
    "expect_column_values_to_be_in_set": _add_values,
    "expect_column_values_to_be_between": _extend_range,
    "expect_column_values_to_not_be_null": _lower_share,
    "expect_column_distribution_to_match_previous": _raise_floor,
    "expect_new_rows_to_be_share_of_previous": _lower_growth,
    "expect_new_rows_to_follow_feed": _follow_feed,
    "expect_table_row_count_to_be_between": _widen_count,
}
"""For each kind of rule that has values, what writes the new ones."""
