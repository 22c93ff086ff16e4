"""What differs between two versions is said in words, and in scores where there are any."""

from pathlib import Path
from typing import Any

from sluice.prompts.differences.versions import compare_scores, describe_difference
from sluice.prompts.evaluation.record import EvaluationRecord, find_latest, read_evaluations
from sluice.prompts.version import PromptVersion
from support.prompts import VERSION


def make(**changes: Any) -> PromptVersion:
    return PromptVersion.model_validate(VERSION | changes)


def record(version: int, value: float, **changes: Any) -> EvaluationRecord:
    values = {
        "prompt": "greet", "version": version, "identity": f"id{version}", "eval_set": "set",
        "environment": "development", "model": "m-1", "ended": f"2026-01-0{version}T00:00:00Z",
        "outcome": "pass", "criteria": {"short": {"value": value, "cases": 300}},
    }  # fmt: skip
    return EvaluationRecord.model_validate(values | changes)


def test_the_same_version_differs_in_nothing() -> None:
    assert describe_difference(make(), make()) == []


def test_each_change_is_one_line_of_words() -> None:
    criteria = [
        {"name": "short", "type": "length", "expected": {"max_words": 3}, "threshold": 0.9},
        {"name": "safety", "type": "safety"},
    ]
    after = make(
        temperature=None, max_tokens=60, system="Be short.\nBe kind.", template="Hello {who}.",
        examples=[{"input": "Al", "output": "Hi"}], output_schema={"type": "string"},
        tools=[{"name": "f", "description": "d", "parameters": {}}], eval_criteria=criteria,
    )  # fmt: skip
    assert describe_difference(make(), after) == [
        "temperature: 0.0 -> the default",
        "max_tokens: 50 -> 60",
        "system: 0 lines removed, 1 added",
        "  + Be kind.",
        "template: 1 line removed, 1 added",
        "  - Greet {person}.",
        "  + Hello {who}.",
        "variable who: added; every case must give it",
        "variable person: removed; no case may give it",
        "examples: 0 -> 1 example, 0 of them unchanged",
        "tool f: added",
        "output_schema: added",
        "criterion short: expected {'max_words': 5} -> {'max_words': 3}; "
        "threshold the default -> 0.9",
        "criterion safety: added",
    ]


def test_scores_stand_side_by_side_with_what_limits_the_comparison() -> None:
    rows, notes = compare_scores(record(1, 0.9), record(2, 0.95))
    assert rows == [
        {"criterion": "short", "v1": "0.900", "v2": "0.950", "difference": "+0.050",
         "n": "300 and 300"}
    ]  # fmt: skip
    assert notes == []
    _, notes = compare_scores(record(1, 0.9), record(2, 0.9, eval_set="other", model="m-2"))
    assert notes == [
        "the evaluation set changed between them: the figures are of other cases",
        "other models answered: m-1 and m-2",
    ]
    _, notes = compare_scores(record(1, 0.9), record(2, 0.9, similarity="TF-IDF"))
    assert notes == ["similarity was measured by nothing and TF-IDF: its scores are not comparable"]


def test_the_last_evaluation_of_the_same_content_counts(tmp_path: Path) -> None:
    for name, item in {
        "a": record(1, 0.8),
        "b": record(1, 0.9, ended="2026-02-01T00:00:00Z"),
        "c": record(1, 0.7, ended="2026-03-01T00:00:00Z", identity="edited"),
    }.items():
        (tmp_path / f"{name}.json").write_text(item.to_json(), encoding="utf-8")
    (tmp_path / "cut.json").write_text('{"prompt": "gre')
    found = find_latest(read_evaluations(tmp_path), 1, "id1")
    assert found is not None
    assert found.criteria["short"].value == 0.9
    assert find_latest(read_evaluations(tmp_path), 2, "id2") is None


def test_of_a_long_line_only_what_changed_is_shown() -> None:
    words = [f"word{number}" for number in range(80)]
    before, after = make(system=" ".join(words)), make(system=" ".join([*words[:40], *words[41:]]))
    head, removed, added = describe_difference(before, after)
    assert head == "system: 1 line removed, 1 added"
    beside = "word34 word35 word36 word37 word38 word39 {}word41 word42 word43 word44 word45 word46"
    assert removed == f"  - ... {beside.format('word40 ')} ..."
    assert added == f"  + ... {beside.format('')} ..."
