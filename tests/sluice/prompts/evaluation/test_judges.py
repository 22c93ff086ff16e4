"""Judges: their files, their grades, and which proof counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.errors import PromptInvalid
from sluice.prompts.evaluation.judges import JudgeProof, PromptJudge, load_judge

VERSION = """\
name: relevance
version: 1
model: claude-sonnet-4-6
temperature: 0
max_tokens: 20
system: You grade answers.
template: |
  Input: {input}
  Answer: {answer}
  Reply with the grade alone.
eval_criteria:
  - {name: grade, type: label, expected: [poor, fair, good]}
"""
FILE = """\
version: 1
grades: {poor: 0, fair: 0.5, good: 1}
weighting: linear
source: written for this test
"""
LABELS = [
    {"input": "a", "answer": "b", "grade": "good"},
    {"input": "a", "answer": "c", "grade": "poor"},
]


def write(root: Path, version: str = VERSION, file: str = FILE, labels: Any = LABELS) -> Path:
    folder = root / "judges" / "relevance"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "v1.yaml").write_text(version)
    (folder / "judge.yaml").write_text(file)
    (folder / "labels.jsonl").write_text("".join(json.dumps(item) + "\n" for item in labels))
    return folder


def prove(judge: PromptJudge, **changes: Any) -> None:
    facts = {
        "version": 1,
        "identity": judge.version.identity,
        "labels": judge.labels_identity,
        "model": "model-a",
        "kappa": 0.8,
        "lower": 0.7,
        "upper": 0.9,
        "n": 2,
        "proved": "2026-11-29T10:00:00Z",
    }
    proof = JudgeProof.model_validate({**facts, **changes})
    (judge.folder / "proof.json").write_text(proof.to_json())


@pytest.fixture
def judge(tmp_path: Path) -> PromptJudge:
    write(tmp_path)
    return load_judge("relevance", tmp_path)


def test_a_judge_is_asked_about_one_answer_and_braces_in_it_are_text(judge: PromptJudge) -> None:
    request = judge.make_request("the {answer}", "{input} {{x}}")
    assert request.messages[-1].content.startswith("Input: the {answer}\nAnswer: {input} {{x}}\n")
    assert request.model == "claude-sonnet-4-6"


@pytest.mark.parametrize(
    "reply",
    ["good", " Good. ", "**good**", '{"grade": "GOOD", "reason": "x"}', "It fits.\nGrade: good",
     'Sure:\n{"reason": "poor style", "grade": "good"}'],
)  # fmt: skip
def test_a_grade_is_read_from_what_models_write(judge: PromptJudge, reply: str) -> None:
    assert judge.read_grade(reply) == "good"


@pytest.mark.parametrize(
    "reply",
    ["", "excellent", "good or fair", "not good", "grade: 7", '{"grade": null}', "{" * 50_000],
)
def test_any_other_reply_is_no_grade(judge: PromptJudge, reply: str) -> None:
    with pytest.raises(ValueError, match="allowed: one of poor, fair, good"):
        judge.read_grade(reply)


def test_only_the_proof_of_this_version_labels_and_model_counts(
    tmp_path: Path, judge: PromptJudge
) -> None:
    assert "has no proof" in judge.explain_missing_proof("model-a")
    prove(judge)
    proved = load_judge("relevance", tmp_path)
    assert proved.explain_missing_proof("model-a") == ""
    assert "was proved with model-a, and model-b grades now" in proved.explain_missing_proof(
        "model-b"
    )
    write(tmp_path, labels=[*LABELS, {"input": "x", "answer": "y", "grade": "fair"}])
    assert "labels of the judge" in load_judge("relevance", tmp_path).explain_missing_proof(
        "model-a"
    )
    write(tmp_path, VERSION.replace("You grade", "You strictly grade"))
    assert "changed since" in load_judge("relevance", tmp_path).explain_missing_proof("model-a")


def test_labels_that_were_not_graded_are_no_proof(tmp_path: Path, judge: PromptJudge) -> None:
    prove(judge, not_run=3)
    found = load_judge("relevance", tmp_path).explain_missing_proof("model-a")
    assert (
        "left 3 of its labels without a grade; next: sluice prompt prove-judge relevance" in found
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "proof.json: not readable as JSON"),
        ("[]", "proof.json: the file: "),
        ('{"kappa": 1}', "proof.json: version: "),
        ("nonsense", "proof.json: not readable as JSON"),
        ("[" * 10_000, "proof.json: "),
    ],
)
def test_a_damaged_proof_is_none_and_is_told_from_a_missing_one(
    tmp_path: Path, judge: PromptJudge, content: str, words: str
) -> None:
    (judge.folder / "proof.json").write_text(content)
    found = load_judge("relevance", tmp_path)
    assert found.proof is None
    reason = found.explain_missing_proof("model-a")
    assert reason.startswith(f"the proof of the judge relevance is damaged: {judge.folder}/{words}")
    assert reason.endswith("; next: sluice prompt prove-judge relevance")


def test_a_proof_that_cannot_be_opened_is_told(tmp_path: Path, judge: PromptJudge) -> None:
    (judge.folder / "proof.json").mkdir()
    reason = load_judge("relevance", tmp_path).explain_missing_proof("model-a")
    assert "proof.json: Is a directory; next: " in reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": FILE.replace("version: 1", "version: 7")}, "version: found 7; allowed: 1"),
        ({"file": FILE.replace("good: 1", "good: 2")}, "found 2.0 for 'good'; allowed: 0 to 1"),
        ({"file": FILE.replace("fair:", "Poor:")}, "differ by case only"),
        ({"version": VERSION.replace("{answer}", "{output}")}, r"found {output}; allowed: {input}"),
        ({"version": VERSION.replace("{answer}", "")}, r"found no {answer}"),
        ({"version": VERSION.replace("version: 1", "version: 2")}, "version: found 2; allowed: 1"),
        (
            {"version": VERSION.replace("name: relevance", "name: tone")},
            "name: found 'tone'; allowed: 'relevance'",
        ),
        (
            {"labels": [*LABELS, {"input": "a", "answer": "d", "grade": "ok"}]},
            "jsonl:3: grade: found 'ok'",
        ),
    ],
)
def test_wrong_files_are_refused_by_place(tmp_path: Path, changes: Any, words: str) -> None:
    write(tmp_path, **changes)
    with pytest.raises(PromptInvalid, match=words.replace("{", r"\{").replace("}", r"\}")):
        load_judge("relevance", tmp_path)


def test_an_unknown_judge_is_named_with_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(PromptInvalid, match="found no judge 'tone'; allowed: relevance"):
        load_judge("tone", tmp_path)


def test_a_label_counts_once(tmp_path: Path) -> None:
    write(tmp_path, labels=[*LABELS, LABELS[0]])
    with pytest.raises(PromptInvalid, match="jsonl:3: found the answer of line 1 again"):
        load_judge("relevance", tmp_path)


def test_a_proof_that_cannot_be_is_none(tmp_path: Path, judge: PromptJudge) -> None:
    prove(judge, n=120)
    reason = load_judge("relevance", tmp_path).explain_missing_proof("model-a")
    assert "has a proof about 120 labels, and there are 2; next: " in reason
    prove(judge)
    path = judge.folder / "proof.json"
    valid = path.read_text()
    for kappa in ("NaN", "7", "0.85"):
        path.write_text(valid.replace('"lower": 0.7', f'"lower": {kappa}'))
        assert load_judge("relevance", tmp_path).proof is None
