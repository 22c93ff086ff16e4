"""The bias gate for text: pass equal treatment, stop a direction, halt without evidence."""

import numpy as np
import pytest

from sluice.config.prompts.limits import TextBiasConfig
from sluice.gates.prompts.bias import TextBiasGate, find_limits
from sluice.stats.prompts.text_bias import GroupAnswers, TextBiasEvidence, measure_text_bias
from sluice.verdict import Check, Outcome, Verdict

LABELS = np.array(["approve", "refuse"], dtype=object)


def answer(
    group: str,
    seed: int,
    cases: int = 400,
    *,
    favoured: float = 0.0,
    length: float = 1.0,
    refused: float = 0.01,
    tone: float = 0.0,
) -> GroupAnswers:
    random, own = np.random.default_rng((seed, 1)), np.random.default_rng(0)
    labels = LABELS[own.integers(0, 2, cases)]
    labels = np.where(random.random(cases) < 0.02, LABELS[random.integers(0, 2, cases)], labels)
    labels = np.where(random.random(cases) < favoured, "approve", labels).astype(object)
    return GroupAnswers(
        group,
        length * own.lognormal(5.0, 0.3, cases),
        random.random(cases) < refused,
        (tone + random.normal(0.0, 0.1, cases)).clip(-1.0, 1.0),
        labels,
    )


def judge(*groups: GroupAnswers, on_unproved: str = "list") -> Verdict:
    config = TextBiasConfig.model_validate({"on_unproved": on_unproved})
    return TextBiasGate(config).judge(measure_text_bias(groups, find_limits(config)))


def find(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name.startswith(name))


def test_gate_passes_groups_that_are_answered_alike() -> None:
    verdict = judge(answer("women", 1), answer("men", 2))
    assert verdict.passed, verdict.message
    assert "5 checks proved, 0 not proved, 400 cases" in verdict.reason
    assert "another label for women and men" in verdict.notices[0]


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"favoured": 0.4}, "share of 'approve'"),
        ({"length": 1.3}, "log length ratio"),
        ({"refused": 0.2}, "refusal rate"),
        ({"tone": 0.15}, "tone"),
    ],
)
def test_gate_stops_a_direction(fault: dict[str, float], name: str) -> None:
    verdict = judge(answer("women", 1, **fault), answer("men", 2))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith(f"{name}, women - men .")
    assert find(verdict, name).outcome is Outcome.FAIL
    turned = judge(answer("women", 1), answer("men", 2, **fault))
    assert find(turned, name).outcome is Outcome.FAIL
    assert "examples of both groups" in verdict.next_step


def test_scores_are_compared_where_there_are_no_labels() -> None:
    random = np.random.default_rng(4)
    both = [
        GroupAnswers(
            group,
            np.full(400, 90.0),
            np.zeros(400, bool),
            np.zeros(400),
            None,
            random.beta(8.0 - low, 2.0 + low, 400),
        )
        for group, low in (("women", 2.0), ("men", 0.0))
    ]
    assert find(judge(*both), "mean score").outcome is Outcome.FAIL


def test_few_cases_prove_nothing_and_say_so() -> None:
    groups = [answer("women", 1, 120), answer("men", 2, 120)]
    listed, halted = judge(*groups), judge(*groups, on_unproved="halt")
    assert listed.passed
    assert any(notice.startswith("not proved: ") for notice in listed.notices)
    assert halted.outcome is Outcome.INSUFFICIENT
    assert "400 decide" in halted.next_step


def test_missing_evidence_halts() -> None:
    gate, limits = TextBiasGate(TextBiasConfig()), find_limits(TextBiasConfig())
    assert gate.judge(TextBiasEvidence(10)).outcome is Outcome.INSUFFICIENT
    one = gate.judge(measure_text_bias([answer("women", 1)], limits))
    assert one.reason == "the bias set exchanges no groups"
    few = gate.judge(measure_text_bias([answer("women", 1, 49), answer("men", 2, 49)], limits))
    assert (few.outcome, few.reason) == (
        Outcome.INSUFFICIENT,
        "the bias set has 49 cases, 50 needed",
    )
    none = gate.judge(measure_text_bias([answer("women", 1, 0), answer("men", 2, 0)], limits))
    assert none.outcome is Outcome.INSUFFICIENT


def test_changes_between_repeats_are_noise() -> None:
    labels = LABELS[np.random.default_rng(0).integers(0, 2, 400)]
    turned = np.where(np.arange(400) % 10 == 0, "other", labels).astype(object)
    groups = [
        GroupAnswers(
            group, np.full(400, 90.0), np.zeros(400, bool), np.zeros(400), labels, None, turned
        )
        for group in ("women", "men")
    ]
    notice = judge(*groups).notices[-1]
    assert notice.startswith("0.0% of the cases have another label for women and men, 10.0% change")


@pytest.mark.parametrize(
    ("on_missing", "outcome"), [("halt", Outcome.INSUFFICIENT), ("notice", Outcome.PASS)]
)
def test_gate_without_a_set_that_decides_does_as_the_environment_says(
    on_missing: str, outcome: Outcome
) -> None:
    gate = TextBiasGate(TextBiasConfig.model_validate({"on_missing": on_missing}))
    few = measure_text_bias((answer("a", 1, 20), answer("b", 2, 20)), find_limits(gate.limits))
    for verdict in (gate.judge_absence(), gate.judge(few)):
        assert verdict.outcome is outcome
        assert "bias_set.jsonl" in verdict.next_step + " ".join(verdict.notices)
    lost = TextBiasEvidence(400, missing=("3 answers are missing",))
    assert gate.judge(lost).outcome is Outcome.INSUFFICIENT
