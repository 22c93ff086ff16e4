"""The proof of a judge, asked over real HTTP; and what its standing means for a release."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.errors import BudgetExceeded, ConfigInvalid, EvidenceInsufficient, PromptInvalid
from sluice.prompts.evaluation.checks import PlannedCheck
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.verdict import Outcome
from support.llm.answers import FakeAnswer, refuse
from support.llm.asking import KEY_VARIABLE, write_config
from support.llm.judged import (
    CASES,
    LABELS,
    VERSION,
    JudgedPrompt,
    PlannedJudge,
    embed_model,
    make_judged,
    use_config,
    write_labels,
)
from support.llm.provider import FakeProvider, run_provider
from tasks.prompts import judging
from tasks.prompts.evidence import list_not_run, measure_check
from tasks.prompts.judging import explain_standing

NO_PROOF = "the judge polite has no proof of its agreement with people; next: sluice prompt prove-"


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider() as found:
        yield found


@pytest.fixture
def judged(running: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JudgedPrompt:
    running.reset(PlannedJudge())
    return make_judged(running, tmp_path, monkeypatch)


@pytest.mark.parametrize(("wrong", "kappa", "gates"), [(3, 0.9, True), (12, 0.6, False)])
def test_only_proved_agreement_lets_a_judge_decide(
    judged: JudgedPrompt, wrong: int, kappa: float, gates: bool
) -> None:
    judged.provider.reset(PlannedJudge(wrong))
    assert explain_standing(judged.load(), "production").startswith(NO_PROOF)
    proved = judged.prove()
    assert proved.proof.kappa == pytest.approx(kappa)
    assert proved.proof.n == LABELS
    assert proved.standing.gates is gates
    assert judged.load().proof == proved.proof
    assert bool(explain_standing(judged.load(), "production")) is not gates
    asked = len(judged.provider.asked)
    judged.prove()
    assert len(judged.provider.asked) == asked, "every grade was kept"
    verdict = judged.decide()
    assert verdict.passed is gates, verdict.message
    if gates:
        assert "polite 1.000 on 60 cases" in verdict.reason
    else:
        assert "polite 1.000 decides nothing: the judge polite: agreement with people is not" in (
            verdict.reason
        )


def test_a_proved_judge_stops_what_it_grades_as_bad(judged: JudgedPrompt) -> None:
    judged.prove()
    judged.provider.reset(PlannedJudge(errs=lambda n: FakeAnswer("bad") if n % 3 else None))
    verdict = judged.decide()
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("polite .333 [")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refuse(500), "polite: provider"),
        (FakeAnswer("I'd say it is nice."), "polite: found 'I'd say it is nice.'; allowed: one of"),
    ],
)
def test_a_judge_that_errs_on_a_tenth_of_the_cases_halts_by_name(
    judged: JudgedPrompt, fault: FakeAnswer, words: str
) -> None:
    judged.prove()
    judged.provider.reset(PlannedJudge(errs=lambda n: fault if n % 10 == 0 else None))
    verdict = judged.decide()
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert f"6 cases were not run, 0 allowed: line 1, line 11, line 21 and 3 more: {words}" in (
        verdict.reason
    )
    assert judged.decide(max_not_run=6).passed, "the others are good"


def test_without_a_proof_production_halts_and_development_has_a_notice(
    judged: JudgedPrompt,
) -> None:
    halted = judged.decide("production")
    assert halted.outcome is Outcome.INSUFFICIENT
    assert f"polite 1.000 decides nothing: {NO_PROOF}" in halted.reason
    assert "prove-judge" in halted.next_step
    noticed = judged.decide("development")
    assert noticed.passed, noticed.message
    assert any(f"decides nothing: {NO_PROOF}" in notice for notice in noticed.notices)


def test_what_a_judge_that_decides_nothing_cannot_grade_is_told_and_halts_nothing(
    judged: JudgedPrompt,
) -> None:
    judged.provider.reset(PlannedJudge(errs=lambda n: refuse(401) if n % 10 == 0 else None))
    noticed = judged.decide("development")
    assert noticed.passed, noticed.message
    [notice] = [text for text in noticed.notices if "decides nothing" in text]
    assert "; 6 cases have no grade: line 1: " in notice
    assert judged.decide("production").outcome is Outcome.INSUFFICIENT


def test_the_embedded_model_never_judges(
    judged: JudgedPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.prove("production")
    use_config(monkeypatch, embed_model(write_config(judged.provider, limits={})))
    with pytest.raises(ConfigInvalid, match="the embedded one, which never judges") as caught:
        judged.prove("development")
    assert "name a model of another provider in environments.development of configs/llm" in (
        str(caught.value)
    )
    assert explain_standing(judged.load(), "production") == "", "another model grades there"
    reason = explain_standing(judged.load(), "development")
    assert "model 'small' (instead of claude)" in reason
    forged = judged.load().proof
    assert forged is not None
    place = judged.folder / "proof.json"
    place.write_text(forged.model_copy(update={"model": "small of local"}).to_json())
    assert "never judges" in explain_standing(judged.load(), "development")


def test_answers_are_not_even_shown_to_the_embedded_model(
    judged: JudgedPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt's own model is another one, so that every request to the small one would fail."""
    price = {"price": {"input": 1, "output": 5}}
    use_config(monkeypatch, embed_model(write_config(judged.provider, limits={}, models=price)))
    version = judged.root / "greet" / "v1.yaml"
    version.write_text(version.read_text().replace("model: claude", "model: gpt"))
    results = judged.evaluate("development")
    reasons = {reason for case in results.cases for reason in case.answers[0].errors.values()}
    assert len(reasons) == 1
    assert "the embedded one, which never judges" in reasons.pop()
    assert len(judged.provider.asked) == CASES, "the answers, and no grades"
    assert judged.decide("development").passed
    assert judged.decide("production").outcome is Outcome.INSUFFICIENT


def test_a_proof_is_of_the_exact_model(
    judged: JudgedPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.prove()
    before = judging.load_providers()
    model = before.models["claude"].model_copy(update={"id": "claude-3-5-haiku-latest"})
    use_config(
        monkeypatch, before.model_copy(update={"models": {**before.models, "claude": model}})
    )
    reason = explain_standing(judged.load(), "production")
    assert "was proved with claude-haiku-4-5 of anthropic" in reason
    assert "claude-3-5-haiku-latest" in reason
    assert judged.decide().outcome is Outcome.INSUFFICIENT


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("version", "the judge polite changed since its proof"),
        ("label", "the labels of the judge polite changed since its proof"),
        ("damage", "the proof of the judge polite is damaged: "),
        ("kappa", "proof.json: the file: found a kappa that does not lie between its bounds"),
        ("gone", "the judge polite has no proof"),
    ],
)
def test_any_other_proof_does_not_count(judged: JudgedPrompt, fault: str, words: str) -> None:
    judged.prove()
    proof = judged.folder / "proof.json"
    match fault:
        case "version":
            (judged.folder / "v1.yaml").write_text(VERSION.replace("Answer: ", "Answer:  "))
        case "label":
            rows = write_labels()
            judged.write_labels([{**rows[0], "grade": "good"}, *rows[1:]])
        case "damage":
            proof.write_text(proof.read_text()[:-40])
        case "kappa":
            proof.write_text(json.dumps({**json.loads(proof.read_text()), "kappa": 0.2}))
        case "gone":
            proof.unlink()
    reason = explain_standing(judged.load(), "production")
    assert words in reason
    assert reason.endswith("; next: sluice prompt prove-judge polite")


def test_a_model_that_is_gone_leaves_its_judge_without_a_voice(
    judged: JudgedPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.prove()
    retired = write_config(judged.provider, limits={}, models={"retires": "2026-01-01"})
    use_config(monkeypatch, retired)
    reason = explain_standing(judged.load(), "production")
    assert reason.startswith("the judge polite: model 'claude' was retired on 2026-01-01")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (write_labels(99), "labels.jsonl: found 99 labels; allowed: 100 or more; next: write one"),
        ([], "labels.jsonl: found 0 labels; allowed: 100 or more"),
        ([*write_labels(), write_labels(1)[0]], "labels.jsonl:121: found the answer of line 1"),
        ([*write_labels(), {"input": "x", "answer": "y", "grade": "fine"}],
         "labels.jsonl:121: grade: found 'fine'; allowed: bad, good"),
        ([*write_labels(), '{"input": "x", "answer": '],
         "labels.jsonl:121: not readable as JSON: Expecting value, column 26"),
        ([*write_labels(), {"input": "x", "answer": "y", "label": "good"}],
         "labels.jsonl:121: label: unknown key"),
    ],
)  # fmt: skip
def test_labels_that_prove_nothing_are_refused_before_anything_is_paid(
    judged: JudgedPrompt, rows: list[Any], words: str
) -> None:
    judged.write_labels(rows)
    with pytest.raises(PromptInvalid) as caught:
        judged.prove()
    assert words in str(caught.value)
    assert judged.provider.asked == []


def test_what_was_not_graded_proves_nothing(judged: JudgedPrompt) -> None:
    with pytest.raises((EvidenceInsufficient, BudgetExceeded), match="no proof was written"):
        judged.prove(spend=0.0)
    assert judged.load().proof is None
    judged.provider.reset(FakeAnswer("I cannot say."))
    proved = judged.prove()
    assert not proved.standing.gates
    assert "120 of 120 replies give no grade" in proved.standing.reason


def test_labels_without_a_reply_are_told_once_a_reason(
    judged: JudgedPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(EvidenceInsufficient) as caught:
        judged.prove()
    said = str(caught.value)
    assert said.startswith("120 of 120 labels have no reply: labels 1, 2, 3 and 117 more: provider")
    assert said.count("needs a key") == said.count("; next: ") == 1
    assert said.endswith(", then `sluice prompt prove-judge polite`: what was graded costs nothing")


def test_a_case_that_the_active_version_lacks_is_not_run() -> None:
    check = PlannedCheck("relevance", ("relevance",), "mean", 0.8, "")

    def evaluate(version: int, *answers: AnswerResult) -> PromptEvaluation:
        cases = tuple(CaseResult(f"c{n}", "", (one,), line=n) for n, one in enumerate(answers, 1))
        return PromptEvaluation("p", version, "i", "e", "m", "production", cases)

    good = AnswerResult("x", {"relevance": 1.0})
    new = evaluate(2, good, good, good)
    gone, errs = (
        AnswerResult(failure="hung up"),
        AnswerResult("x", errors={"relevance": "no grade"}),
    )
    other = AnswerResult("x", {"relevance": 1.0}, errors={"dropped": "there is no judge"})
    old = evaluate(1, gone, errs, other)
    found = list_not_run([check], new, old)
    assert found == ("line 1 of v1: hung up", "line 2 of v1: relevance: no grade")
    assert list_not_run([check], new, old, {"relevance"}) == ("line 1 of v1: hung up",)
    assert measure_check(check, new, None, {}).active is None
