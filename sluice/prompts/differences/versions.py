"""How two versions of a prompt differ, in words and in scores."""

import difflib
from itertools import pairwise
from typing import Any

from sluice.prompts.criterion import Criterion
from sluice.prompts.differences.words import divide_words, join_changes, shorten_changes
from sluice.prompts.evaluation.record import EvaluationRecord
from sluice.prompts.version import PromptVersion

VALUES = ("model", "temperature", "max_tokens", "repeats")
TEXTS = ("system", "template")
PARTS = {
    "examples": ("example", "examples"),
    "messages": ("turn", "turns"),
    "context": ("passage", "passages"),
}
MARKS = ("+ ", "- ")
LONG_LINE = 300
"""Letters of a line from which on only what changed is shown of it."""
WORDS_AROUND = 6
"""Words beside a change that are shown of a long line."""


def describe_difference(old: PromptVersion, new: PromptVersion) -> list[str]:
    """Return what differs between two versions, one line each; changed lines with `-` and `+`."""
    lines = list[str]()
    for name in VALUES:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            lines.append(f"{name}: {_say(before)} -> {_say(after)}")
    for name in TEXTS:
        lines += _compare_texts(name, getattr(old, name), getattr(new, name))
    gone = [name for name in old.placeholders if name not in new.placeholders]
    added = [name for name in new.placeholders if name not in old.placeholders]
    lines += [f"variable {name}: added; every case must give it" for name in added]
    lines += [f"variable {name}: removed; no case may give it" for name in gone]
    for name, (one, many) in PARTS.items():
        lines += _compare_parts(name, getattr(old, name), getattr(new, name), one, many)
    lines += _compare_named("tool", _by_name(old.tools), _by_name(new.tools))
    if old.output_schema != new.output_schema:
        lines.append(f"output_schema: {_say_change(old.output_schema, new.output_schema)}")
    lines += _compare_criteria(
        {item.name: item for item in old.eval_criteria},
        {item.name: item for item in new.eval_criteria},
    )
    return lines


def _say(value: Any) -> str:
    return "the default" if value is None else str(value)


def _say_change(before: Any, after: Any) -> str:
    if before is None or after is None:
        return "added" if before is None else "removed"
    return "changed"


def _compare_texts(name: str, before: str, after: str) -> list[str]:
    if before == after:
        return []
    parts = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    changed = _shorten_lines([line.rstrip() for line in parts if line.startswith(MARKS)])
    shown = [f"  {line}" for line in changed]
    removed = sum(line.startswith("- ") for line in parts)
    added = sum(line.startswith("+ ") for line in parts)
    if not shown:
        return [f"{name}: only line breaks at the end differ"]
    noun = "line" if removed == 1 else "lines"
    return [f"{name}: {removed} {noun} removed, {added} added", *shown]


def _shorten_lines(lines: list[str]) -> list[str]:
    """Leave out of a long line, of one that took its place, most of what is the same in both."""
    found = list(lines)
    for place, (before, after) in enumerate(pairwise(lines)):
        if before[:2] != "- " or after[:2] != "+ " or len(before) + len(after) <= 2 * LONG_LINE:
            continue
        parts = join_changes(divide_words(before[2:]), divide_words(after[2:]))
        old, new = shorten_changes(parts, WORDS_AROUND)
        found[place : place + 2] = [f"- {old}", f"+ {new}"]
    return found


def _compare_parts(name: str, before: Any, after: Any, one: str, many: str) -> list[str]:
    if before == after:
        return []
    kept = sum(item in before for item in after)
    counts = f"{len(before)} -> {len(after)} {one if len(after) == 1 else many}"
    return [f"{name}: {counts}, {kept} of them unchanged"]


def _by_name(items: Any) -> dict[str, Any]:
    return {item.name: item for item in items}


def _compare_named(kind: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    names = dict.fromkeys([*before, *after])
    return [
        f"{kind} {name}: {_say_change(before.get(name), after.get(name))}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _compare_criteria(before: dict[str, Criterion], after: dict[str, Criterion]) -> list[str]:
    lines = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            lines.append(f"criterion {name}: {'added' if old is None else 'removed'}")
        elif old != new:
            changes = [
                f"{key} {_say(getattr(old, key))} -> {_say(getattr(new, key))}"
                for key in ("type", "expected", "threshold", "judge")
                if getattr(old, key) != getattr(new, key)
            ]
            lines.append(f"criterion {name}: {'; '.join(changes)}")
    return lines


def compare_scores(
    old: EvaluationRecord, new: EvaluationRecord
) -> tuple[list[dict[str, str]], list[str]]:
    """Return one row a criterion with both versions' figures, and what limits the comparison."""
    rows = []
    for name in dict.fromkeys([*old.criteria, *new.criteria]):
        before, after = old.criteria.get(name), new.criteria.get(name)
        rows.append(
            {
                "criterion": name,
                f"v{old.version}": f"{before.value:.3f}" if before else "-",
                f"v{new.version}": f"{after.value:.3f}" if after else "-",
                "difference": f"{after.value - before.value:+.3f}" if before and after else "-",
                "n": f"{before.cases if before else 0:,} and {after.cases if after else 0:,}",
            }
        )
    notes = []
    if old.eval_set != new.eval_set:
        notes.append("the evaluation set changed between them: the figures are of other cases")
    if old.model != new.model:
        notes.append(f"other models answered: {old.model} and {new.model}")
    if old.similarity != new.similarity:
        others = f"{old.similarity or 'nothing'} and {new.similarity or 'nothing'}"
        notes.append(f"similarity was measured by {others}: its scores are not comparable")
    if old.environment != new.environment:
        notes.append(f"other environments: {old.environment} and {new.environment}")
    return rows, notes
