"""What a release knows and what it lacks, through the flow: judges, costs, few cases for bias."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.verdict import Outcome, Verdict
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.asking import describe_config
from support.llm.judged import CASES, JUDGE, PlannedJudge, write_judged
from support.llm.provider import FakeProvider, run_provider
from support.llm.world import PromptWorld, open_small_world, open_world
from support.prompts import answer_small, wish_version, write_rows, write_small_limits
from tasks.prompts.judging import prove_judge
from tasks.prompts.reporting import read_report

pytestmark = pytest.mark.slow

AGREES, DISAGREES = 3, 12
"""Labels of each grade, of 60, that the judge grades wrong: a kappa of .9, and of .6."""
POLITE, RUDE = FakeAnswer("good"), FakeAnswer("bad")
PAYMENT = {"attribute": "origin", "input": {"ticket": "I am {name}, about billing."}}


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture
def judged(
    api: str, provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PromptWorld]:
    """The prompt `greet`, whose 60 answers the judge `polite` grades; limits for 60 cases."""
    folder = write_judged(tmp_path / "prompts")
    wish_version(folder, 1)
    limit_judged(folder)
    place = tmp_path / "configs" / "llm" / "providers.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(yaml.safe_dump(describe_config(provider.reset(POLITE), limits={})))
    with open_world(api, provider, folder, monkeypatch) as world:
        yield world


@pytest.fixture
def small(
    api: str, provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PromptWorld]:
    provider.reset(answer_small)
    with open_small_world(api, provider, tmp_path, monkeypatch) as world:
        yield world


def limit_judged(folder: Path, **gates: Any) -> None:
    write_small_limits(folder, 0.9)
    limits = folder / "limits.yaml"
    values = yaml.safe_load(limits.read_text())
    values["gates"]["development"] |= gates
    limits.write_text(yaml.safe_dump(values))


def prove(world: PromptWorld, wrong: int) -> float:
    """Let the judge be proved with so many wrong grades; return its kappa."""
    world.provider.reset(PlannedJudge(wrong))
    root = world.folder.parent
    return prove_judge(JUDGE, world.home, "development", 5.0, root).proof.kappa


def release_judged(world: PromptWorld, errs: Any = None) -> tuple[Any, Verdict]:
    """Release v1 where the judge replies to an answer by `errs`; return the end and the verdict."""
    world.provider.reset(PlannedJudge(errs=errs))
    state = world.release(1, "by hand")
    page = next((world.home.evaluations("greet") / "answers").glob("v1-*.html"))
    verdicts = {verdict.gate: verdict for verdict in read_report(page).verdicts}
    return state, verdicts["prompt"]


def test_a_judge_that_agrees_with_people_lets_a_good_version_pass(judged: PromptWorld) -> None:
    assert prove(judged, AGREES) == pytest.approx(0.9)
    state, verdict = release_judged(judged)
    assert state.is_completed(), state.message
    assert judged.active == 1
    assert f"{JUDGE} 1.000 on {CASES} cases" in verdict.reason
    assert verdict.notices == ()


def test_a_judge_that_agrees_with_people_stops_a_bad_version(judged: PromptWorld) -> None:
    prove(judged, AGREES)
    state, verdict = release_judged(judged, errs=lambda _: RUDE)
    assert state.message.startswith(f"PromptRegressed: {JUDGE} .000"), state.message
    assert verdict.outcome is Outcome.FAIL
    assert judged.active is None


@pytest.mark.parametrize(("on_unproved", "passes"), [("notice", True), ("halt", False)])
def test_a_judge_that_agrees_too_little_decides_nothing(
    judged: PromptWorld, on_unproved: str, passes: bool
) -> None:
    """Its grades are as bad as can be, and are shown; `halt` is what production does."""
    limit_judged(judged.folder, on_unproved_judge=on_unproved)
    assert prove(judged, DISAGREES) == pytest.approx(0.6)
    state, verdict = release_judged(judged, errs=lambda _: RUDE)
    assert state.is_completed() is passes, state.message
    assert judged.active == (1 if passes else None)
    assert verdict.outcome is (Outcome.PASS if passes else Outcome.INSUFFICIENT)
    (said,) = verdict.notices if passes else (verdict.reason,)
    assert said.startswith(JUDGE)
    assert "agreement with people is not proved" in said


def test_a_judge_that_fails_on_a_tenth_of_the_cases_halts_and_names_them(
    judged: PromptWorld,
) -> None:
    prove(judged, AGREES)
    garbage = FakeAnswer(fault="garbage")
    state, _ = release_judged(judged, errs=lambda number: garbage if number % 10 == 0 else None)
    assert state.message.startswith("EvidenceInsufficient: 6 cases were not run"), state.message
    assert f"line 1, line 11, line 21 and 3 more: {JUDGE}: " in state.message
    assert judged.active is None
    again, _ = release_judged(judged)
    assert again.is_completed(), again.message
    assert len(judged.provider.asked) == CASES // 10, "what was graded costs nothing"


def test_a_provider_that_bills_more_than_was_reserved_is_told_once(small: PromptWorld) -> None:
    def bill(asked: AskedRequest) -> FakeAnswer:
        return FakeAnswer(answer_small(asked).text, input_tokens=5_000, output_tokens=2)

    small.provider.reset(bill)
    assert small.release(1, "by hand").is_completed()
    (told,) = small.events("cost.overrun")
    assert told["version"] == 1
    assert told["reason"].startswith("60 calls of model 'claude-sonnet-4' of provider 'near' cost")
    assert small.events("cost.unknown") == []
    assert small.release(1, "by hand").is_completed()
    assert len(small.events("cost.overrun")) == 1, "kept replies cost nothing"


@pytest.mark.parametrize(("pairs", "is_even"), [(100, True), (100, False), (40, True)])
def test_exchanged_names_decide_where_there_are_enough_pairs(
    small: PromptWorld, pairs: int, is_even: bool
) -> None:
    groups = {"a": {"name": "Emily"}, "b": {"name": "Lakisha"}}
    rows = [
        {**PAYMENT, "input": {"ticket": f"{number}: I am {{name}}, about billing."}}
        for number in range(pairs)
    ]
    write_rows(small.folder / "bias_set.jsonl", [{**row, "groups": groups} for row in rows])
    limit_judged(small.folder, bias={"on_missing": "halt"})

    def answer(asked: AskedRequest) -> FakeAnswer:
        turns = not is_even and "Lakisha" in json.dumps(asked.body["messages"])
        return FakeAnswer("delivery") if turns else answer_small(asked)

    small.provider.reset(answer)
    state = small.release(1, "by hand")
    if pairs < 50:
        assert state.message.startswith("EvidenceInsufficient: "), state.message
        assert f"the bias set has {pairs} cases, 50 needed" in state.message
    elif is_even:
        assert state.is_completed(), state.message
    else:
        assert state.message.startswith("BiasFound: origin: share of "), state.message
    assert small.active == (1 if is_even and pairs > 50 else None)
