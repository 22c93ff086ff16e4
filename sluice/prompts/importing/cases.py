"""Tests of a promptfoo configuration as cases: inline, in files, in scenarios."""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sluice.documents import parse_json
from sluice.prompts.importing.sources import (
    FILE,
    Notes,
    Place,
    read_text,
    read_values,
    to_text,
)

MOST_CASES = 20_000
EXPECTED = re.compile(r"__expected\d*")
TYPED = re.compile(r"(?P<type>[a-z-]+)(?:\((?P<threshold>[\d.]+)\))?:\s*(?P<value>.*)", re.DOTALL)
TYPES = {
    "equals", "contains", "icontains", "contains-all", "contains-any", "icontains-all",
    "icontains-any", "not-contains", "not-icontains", "regex", "not-regex", "is-json", "similar",
    "starts-with", "llm-rubric", "javascript", "python", "factuality", "is-refusal", "grade",
    "fn", "eval", "rouge-n", "levenshtein", "latency", "cost", "word-count",
}  # fmt: skip
Test = Mapping[str, Any]


def read_tests(config: Mapping[str, Any], folder: Path, notes: Notes) -> list[Test]:
    """Return the tests of a configuration, those of its files and scenarios included.

    Raises:
        PromptInvalid: a file cannot be read.
    """
    found = [
        test
        for number, item in enumerate(_as_list(config.get("tests")), 1)
        for test in _expand(item, folder, f"tests, entry {number}", notes)
    ]
    for number, entry in enumerate(_as_list(config.get("scenarios")), 1):
        place = f"scenario {number}"
        is_file = isinstance(entry, str) and entry.startswith(FILE)
        scenario = read_values(folder / entry.removeprefix(FILE)) if is_file else entry
        if not isinstance(scenario, Mapping):
            notes.add(place, "not imported: no mapping of config and tests")
            continue
        inner = [
            test
            for item in _as_list(scenario.get("tests"))
            for test in _expand(item, folder, place, notes)
        ]
        for data in _as_list(scenario.get("config")):
            given = data if isinstance(data, Mapping) else {}
            found += [merge_tests(given, test) for test in inner or [{}]]
    return found


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def merge_tests(default: Test, test: Test) -> Test:
    """Return a test with the default's variables and assertions before its own."""
    merged = {**default, **test}
    inner = [item.get("vars") or {} for item in (default, test)]
    if all(isinstance(item, Mapping) for item in inner):
        merged["vars"] = {**inner[0], **inner[1]}
    merged["assert"] = [*_as_list(default.get("assert")), *_as_list(test.get("assert"))]
    return merged


def _expand(item: Any, folder: Path, place: Place, notes: Notes) -> Iterator[Test]:
    if isinstance(item, Mapping):
        if "path" in item:
            notes.add(place, f"not imported: {to_text(item['path'])}: code is not run")
        else:
            yield item
        return
    if not isinstance(item, str):
        notes.add(place, f"not imported: {to_text(item)[:80]}: no test")
        return
    name = item.removeprefix(FILE)
    if "://" in name or name.startswith("huggingface:"):
        notes.add(place, f"not imported: {item}: nothing is fetched; save it beside the file")
        return
    paths = sorted(folder.glob(name)) if re.search(r"[*?\[]", name) else [folder / name]
    if not paths:
        notes.add(place, f"not imported: no file fits {name}")
    for path in paths:
        if path.suffix == ".csv":
            yield from _read_csv(path, notes)
        elif path.suffix == ".jsonl":
            yield from (parse_json(line) for line in read_text(path).splitlines() if line.strip())
        elif path.suffix in (".yaml", ".yml", ".json"):
            yield from (test for test in _as_list(read_values(path)) if isinstance(test, Mapping))
        else:
            notes.add(place, f"not imported: {path.name}: code is not run")


def _read_csv(path: Path, notes: Notes) -> Iterator[Test]:
    for row in csv.DictReader(io.StringIO(read_text(path))):
        values = {name: value or "" for name, value in row.items() if name}
        assertions = [
            read_expected(value)
            for name, value in values.items()
            if EXPECTED.fullmatch(name) and value.strip()
        ]
        for name in values:
            if name.startswith("__") and not EXPECTED.fullmatch(name) and name != "__description":
                notes.add(path.name, f"column {name} has no counterpart and is left out")
        own = {name: value for name, value in values.items() if not name.startswith("__")}
        test: dict[str, Any] = {"vars": own, "assert": assertions}
        if description := values.get("__description"):
            test["description"] = description
        yield test


def read_expected(text: str) -> dict[str, Any]:
    """Return the assertion of a cell: `type: value`, else the answer itself."""
    match = TYPED.fullmatch(text.strip())
    if text.strip() in TYPES:
        return {"type": text.strip()}
    if match is None or match["type"] not in TYPES:
        return {"type": "equals", "value": text}
    kind = {"grade": "llm-rubric", "fn": "javascript", "eval": "javascript"}.get(
        match["type"], match["type"]
    )
    value: Any = match["value"]
    if kind.endswith(("-all", "-any")):
        value = [part.strip() for part in value.split(",")]
    threshold = {"threshold": float(match["threshold"])} if match["threshold"] else {}
    return {"type": kind, "value": value, **threshold}


def list_variants(
    test: Test, folder: Path, place: Place, notes: Notes
) -> Iterator[Mapping[str, Any]]:
    """Yield the variables of a test; a list of values is one variant each.

    Raises:
        PromptInvalid: a file cannot be read.
    """
    given = test.get("vars") or {}
    if isinstance(given, str):
        given = read_values(folder / given.removeprefix(FILE))
    if not isinstance(given, Mapping):
        notes.add(place, f"not imported: vars are {to_text(given)[:80]}")
        return
    choices = []
    for name, value in given.items():
        items = value if isinstance(value, list) and _are_plain(value) else [value]
        items = [item for one in items for item in _find_files(one, folder, place, notes)]
        choices.append([(name, _read_variable(item, folder, place, notes)) for item in items])
    combined = itertools.product(*choices)
    yield from (dict(pairs) for pairs in itertools.islice(combined, MOST_CASES))
    if next(combined, None) is not None:
        notes.add(place, f"more than {MOST_CASES:,} variants; the first ones are imported")


def _find_files(value: Any, folder: Path, place: Place, notes: Notes) -> list[Any]:
    """Return the value, or the files that fit its pattern, such as `file://articles/*`."""
    name = value.removeprefix(FILE) if isinstance(value, str) else ""
    if not (isinstance(value, str) and value.startswith(FILE) and re.search(r"[*?\[]", name)):
        return [value]
    paths = [path for path in sorted(folder.glob(name)) if path.is_file()]
    if not paths:
        notes.add(place, f"no file fits {name}, its test is not imported")
    return [f"{FILE}{path.relative_to(folder)}" for path in paths]


def _are_plain(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(item, str | int | float) for item in values)


def _read_variable(value: Any, folder: Path, place: Place, notes: Notes) -> Any:
    if not isinstance(value, str) or not value.startswith(FILE):
        return value
    path = folder / value.removeprefix(FILE)
    if path.suffix in (".txt", ".md", ".json", ".yaml", ".yml", ".csv", ".html", ".xml", ""):
        return read_text(path).strip()
    notes.add(place, f"{value}: not read, its name is the value")
    return value
