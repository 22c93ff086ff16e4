"""Assertions of promptfoo as criteria of ours; those without a counterpart are named."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.documents import DocumentInvalid
from sluice.errors import PromptInvalid
from sluice.prompts.criterion import Criterion
from sluice.prompts.importing.nunjucks import fill_variables
from sluice.prompts.importing.sources import (
    FILE,
    Notes,
    Place,
    parse_plain_yaml,
    read_text,
    read_values,
    to_text,
)

CONTAINS = {
    "contains": ("all", False), "icontains": ("all", True),
    "contains-all": ("all", False), "icontains-all": ("all", True),
    "contains-any": ("any", False), "icontains-any": ("any", True),
    "not-contains": ("none", False), "not-icontains": ("none", True),
    "not-contains-any": ("none", False), "not-icontains-any": ("none", True),
}  # fmt: skip
"""Assertion to the rule of `contains`, and whether case is ignored."""
JUDGED = {
    "llm-rubric", "model-graded-closedqa", "closedqa", "factuality", "model-graded-factuality",
    "g-eval", "answer-relevance", "context-faithfulness", "context-recall", "context-relevance",
    "conversation-relevance", "select-best", "max-score", "pi", "classifier", "moderation",
}  # fmt: skip
CODE = {"javascript", "python", "ruby", "webhook"}
TAKEN = {"type", "value", "metric", "threshold", "transform"}
"""Keys of an assertion that are read; every other one is named."""
TRANSFORM = "it looks at what a `transform` makes of the answer; code is not taken over"


@dataclass
class AssertionReader:
    """Makes criteria of assertions; a name has one type and one threshold in the whole file."""

    folder: Path
    templates: Mapping[str, Any]
    notes: Notes
    known: dict[str, tuple[str, float | None]] = field(default_factory=dict)

    def read(
        self, assertions: Any, values: Mapping[str, str], place: Place
    ) -> tuple[list[Criterion], str | None]:
        """Return the criteria of a list of assertions, and the reference that they state."""
        found, reference = dict[str, Criterion](), list[str]()
        for number, item in enumerate(assertions if isinstance(assertions, list) else [], 1):
            where = f"{place}, assertion {number}"
            for assertion in self._resolve(item, where):
                made = self._make(assertion, values, where, reference)
                if made is None:
                    continue
                criterion = self._name(made, assertion, set(found))
                if criterion is None:
                    self.notes.add(where, f"{assertion.get('type')}: not valid here")
                    continue
                found[criterion.name] = criterion
        return list(found.values()), reference[0] if reference else None

    def _resolve(self, item: Any, place: Place) -> Iterator[Mapping[str, Any]]:
        """Yield an assertion, that of a template, or those of a set."""
        if isinstance(item, Mapping) and "$ref" in item:
            item = self.templates.get(str(item["$ref"]).rsplit("/", 1)[-1], item)
        if not isinstance(item, Mapping) or not isinstance(item.get("type"), str):
            self.notes.add(place, f"{json.dumps(item)[:80]}: no assertion that can be read")
        elif item["type"] == "assert-set":
            if item.get("threshold") is not None:
                self.notes.add(place, "assert-set: `threshold` is left out; each part counts alone")
            for part in item.get("assert") or []:
                yield from self._resolve(part, place)
        else:
            yield item

    def _make(
        self, item: Mapping[str, Any], values: Mapping[str, str], place: Place, reference: list[str]
    ) -> dict[str, Any] | None:
        """Return type and expectation of the criterion, None where there is no counterpart."""
        for key in sorted(set(item) - TAKEN):
            self.notes.add(place, f"`{key}` of {item['type']} has no counterpart and is left out")
        kind = item["type"].split(":")[0]
        if item.get("transform") is not None:
            self.notes.add(place, f"{kind}: not imported: {TRANSFORM}")
            return None
        value = self._read_value(item.get("value"), values, place)
        if kind == "equals" and not isinstance(value, dict | list):
            self.notes.add("", "equals: `exact` here, which ignores case and blanks around it")
            text = to_text(value)
            if not reference:
                reference.append(text)
                return {"type": "exact"}
            return {"type": "regex", "expected": rf"^\s*{re.escape(text)}\s*$"}
        made = _convert(kind, value)
        if made is None:
            self._note(kind, item, place)
        elif kind == "similar" and _is_share(item.get("threshold")):
            made["threshold"] = item["threshold"]
            self.notes.add("", "similar: its threshold is a limit on the mean over cases here")
        elif item.get("threshold") is not None:
            self.notes.add(place, f"`threshold` of {kind} has no counterpart and is left out")
        return made

    def _note(self, kind: str, item: Mapping[str, Any], place: Place) -> None:
        value = to_text(item.get("value"))[:200]
        if kind.removeprefix("not-") in JUDGED:
            words = "a judge is a prompt of its own here (prompts/judges), with labels"
        elif kind.removeprefix("not-") in CODE:
            words = "code is not taken over; a scorer of your own is a function and an entry"
        else:
            words = "no counterpart"
        self.notes.add(place, f"{kind}: {words}; it says: {value}" if value else f"{kind}: {words}")

    def _read_value(self, value: Any, values: Mapping[str, str], place: Place) -> Any:
        """Return an assertion's value: files read, variables of the case put in."""
        if isinstance(value, str) and value.startswith(FILE):
            path = self.folder / value.removeprefix(FILE)
            if path.suffix in (".json", ".yaml", ".yml"):
                return read_values(path)
            if path.suffix in ("", ".txt", ".md"):
                return read_text(path).strip()
            self.notes.add(place, f"{value}: not read")
            return value
        if isinstance(value, str):
            return fill_variables(value, values)
        if isinstance(value, list):
            return [self._read_value(item, values, place) for item in value]
        return value

    def _name(
        self, made: dict[str, Any], item: Mapping[str, Any], taken: set[str]
    ) -> Criterion | None:
        """Return the criterion under a name that fits its type, None where it is not valid."""
        metric = item.get("metric") or item["type"].split(":")[0]
        stem = re.sub(r"[^a-z0-9_-]+", "_", str(metric).lower()).strip("_-") or "check"
        stem = (stem if stem[0].isalpha() else f"check_{stem}")[:50]
        facts = (made["type"], made.get("threshold"))
        number = 1
        while True:
            name = stem if number == 1 else f"{stem}_{number}"
            if name not in taken and self.known.get(name, facts) == facts:
                break
            number += 1
        try:
            criterion = Criterion.model_validate({"name": name, **made})
        except ValueError:
            return None
        self.known[name] = facts
        return criterion


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and 0.0 < value < 1.0


def _convert(kind: str, value: Any) -> dict[str, Any] | None:
    """Return type and expectation of a criterion for an assertion, None without a counterpart."""
    text = to_text(value)
    if kind in CONTAINS and text.strip():
        return _convert_contains(kind, value)
    if kind in PATTERNS and text:
        pattern = PATTERNS[kind].replace("VALUE", text if "regex" in kind else re.escape(text))
        expected = {"none": pattern} if kind.startswith("not-") else pattern
        return {"type": "regex", "expected": expected}
    if kind == "similar" and text:
        return {"type": "similarity", "expected": text}
    if kind in ("is-refusal", "not-is-refusal"):
        return {"type": "refusal", "expected": kind == "is-refusal"}
    if kind == "is-json":
        return _convert_schema(value)
    return _convert_count(value) if kind == "word-count" else None


PATTERNS = {
    "regex": "VALUE", "not-regex": "VALUE", "starts-with": "^VALUE", "not-starts-with": "^VALUE",
    "not-equals": r"^\s*VALUE\s*$",
}  # fmt: skip


def _convert_contains(kind: str, value: Any) -> dict[str, Any]:
    rule, ignore = CONTAINS[kind]
    words = [to_text(item) for item in value] if isinstance(value, list) else [to_text(value)]
    if kind.endswith(("-all", "-any")) and isinstance(value, str):
        words = [part.strip() for part in value.split(",") if part.strip()]
    expected = {rule: words, **({"ignore_case": True} if ignore else {})}
    return {"type": "contains", "expected": expected}


def _convert_schema(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = parse_plain_yaml(value)
        except (DocumentInvalid, PromptInvalid):
            return None
    if value is None or isinstance(value, Mapping):
        return {"type": "json_schema", "expected": dict(value or {})}
    return None


def _convert_count(value: Any) -> dict[str, Any] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"type": "length", "expected": {"min_words": value, "max_words": value}}
    if isinstance(value, Mapping) and set(value) <= {"min", "max"} and value:
        return {"type": "length", "expected": {f"{key}_words": n for key, n in value.items()}}
    return None
