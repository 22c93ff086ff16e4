"""Champion and candidate side by side: data, code, configuration and figures of both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice.report.markdown import Cell, Column, write_fitted
from sluice.report.verdict_table import format_interval, format_number

MAX_KEYS = 12
"""Most keys of the configuration that are compared, the first ones that differ."""
LETTERS = 24
NOTHING = "none"
ABSENT = "not set"
HASH_LETTERS = 8


@dataclass(frozen=True)
class ComparedVersion:
    """A version with its tags in the registry, and its resolved configuration."""

    version: int
    tags: Mapping[str, str]
    config: Mapping[str, Any] = field(default_factory=dict)


def write_comparison(
    candidate: ComparedVersion,
    champion: ComparedVersion | None,
    figures: Sequence[Mapping[str, Any]] = (),
    older: Mapping[str, Any] | None = None,
) -> str:
    """Write champion and candidate side by side as Markdown.

    `figures` are the metrics of the evaluation's evidence, both measured on the same held-out rows.
    `older` is its part about older rows, where only the newest ones decided.
    """
    columns = (
        Column("", 20),
        Column(f"champion v{champion.version}" if champion else "no champion", LETTERS),
        Column(f"candidate v{candidate.version}", LETTERS),
    )
    rows: list[tuple[Cell, ...]] = [
        (name, describe(champion) if champion else NOTHING, describe(candidate))
        for name, describe in FACTS.items()
    ]
    rows += _compare_keys(champion, candidate) if champion else []
    rows += [_list_figure(item, "newest rows" if older else "") for item in figures]
    rows += [_list_figure(item, "older rows") for item in (older or {}).get("metrics", ())]
    return write_fitted(columns, rows)


def _describe_data(one: ComparedVersion) -> tuple[str, ...]:
    version, rows = _read(one, "data.version"), _read(one, "data.rows")
    counted = f"{int(rows):,}" if rows.isdecimal() else rows
    content = _read(one, "data.content_hash")[:HASH_LETTERS]
    return f"version {version}", f"{counted} rows", f"content `{content}`"


def _describe_code(one: ComparedVersion) -> tuple[str, ...]:
    dirty = ["with uncommitted changes"] if _read(one, "code.dirty") == "true" else []
    return (f"`{_read(one, 'code.commit')[:HASH_LETTERS]}`", *dirty)


def _describe_configuration(one: ComparedVersion) -> tuple[str, ...]:
    return (f"`{_read(one, 'config.hash')[:HASH_LETTERS]}`",)


def _describe_environment(one: ComparedVersion) -> tuple[str, ...]:
    lock = _read(one, "environment.lock_hash")[:HASH_LETTERS]
    return f"lock `{lock}`", f"Python {_read(one, 'environment.python')}"


FACTS = {
    "data": _describe_data,
    "commit": _describe_code,
    "configuration": _describe_configuration,
    "environment": _describe_environment,
}


def _read(one: ComparedVersion, name: str) -> str:
    return one.tags.get(f"sluice.{name}", "") or "unknown"


def _compare_keys(champion: ComparedVersion, candidate: ComparedVersion) -> list[tuple[Cell, ...]]:
    """Return a row for each key of the configuration that differs."""
    if not champion.config or not candidate.config:
        return []
    old, new = dict(_flatten(champion.config)), dict(_flatten(candidate.config))
    keys = [key for key in {**old, **new} if old.get(key, ABSENT) != new.get(key, ABSENT)]
    rows: list[tuple[Cell, ...]] = [
        (key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys[:MAX_KEYS]
    ]
    more = len(keys) - len(rows)
    return [*rows, (f"{more} more keys differ", "", "")] if more > 0 else rows


def _flatten(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value as text under its dotted key."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", str(value)


def _list_figure(item: Mapping[str, Any], which: str) -> tuple[Cell, ...]:
    better = "more" if item["greater_is_better"] else "less"
    cells = (_describe_estimate(item.get("champion")), _describe_estimate(item["candidate"]))
    named = tuple(filter(None, (item["name"], f"{better} is better", which)))
    return (named, *cells)


def _describe_estimate(found: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return an estimate and its interval as lines."""
    if found is None:
        return (NOTHING,)
    if found["value"] is None:
        return ("cannot be measured",)
    bounds = found["low"], found["high"]
    interval = [] if None in bounds else [format_interval((bounds[0], bounds[1]))]
    return (format_number(found["value"], whole=False), *interval)
