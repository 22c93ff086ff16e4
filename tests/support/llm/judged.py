"""A prompt whose answers a judge grades, with a provider over real HTTP; for tests."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import prepare_control
from sluice.config.llm.providers import LocalProvider, ModelChoices, ProvidersConfig
from sluice.home import Home
from sluice.prompts.evaluation.checks import plan_checks
from sluice.prompts.evaluation.judges import PromptJudge, load_judge
from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.prompts.folder import load_prompt
from sluice.verdict import Verdict
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.asking import KEY_VARIABLE, write_config
from support.llm.provider import KEY, FakeProvider
from support.prompts import write_prompt, write_rows
from tasks.prompts.asking import open_asker
from tasks.prompts.evaluation import Evaluator
from tasks.prompts.evidence import judge_results
from tasks.prompts.judging import ProvedJudge, explain_silence, explain_standing, prove_judge

JUDGE = "polite"
VERSION = """\
name: polite
version: 1
model: claude
temperature: 0
max_tokens: 20
template: "Answer: {answer}"
eval_criteria: [{name: grade, type: label, expected: [bad, good]}]
"""
FILE = "version: 1\ngrades: {bad: 0, good: 1}\nsource: written for this test\n"
LABELS, CASES = 120, 60
GRADES = ("bad", "good")
CRITERIA = [
    {"name": "short", "type": "length", "expected": {"max_words": 5}},
    {"name": JUDGE, "type": "llm_judge", "threshold": 0.8},
]


@dataclass(frozen=True)
class JudgedPrompt:
    """The prompt `greet` with 60 cases, and the judge `polite` with 120 labels, half of them bad.

    A case's answer is `Hello N`, which the judge has to grade as good.
    """

    root: Path
    home: Home
    provider: FakeProvider

    @property
    def folder(self) -> Path:
        """The judge's."""
        return self.root / "judges" / JUDGE

    def write_labels(self, rows: list[Any]) -> Path:
        path = self.folder / "labels.jsonl"
        return write_rows(path, rows)

    def load(self) -> PromptJudge:
        return load_judge(JUDGE, self.root)

    def prove(self, environment: str = "production", spend: float = 5.0) -> ProvedJudge:
        return prove_judge(JUDGE, self.home, environment, spend, self.root)

    def evaluate(self, environment: str = "production") -> PromptEvaluation:
        """Ask, score and judge every case of v1."""
        found = load_prompt("greet", self.root)
        version, cases, judge = found.versions[1], found.eval_set, self.load()
        silent = {JUDGE: explain_silence(judge, environment)}

        async def evaluate() -> PromptEvaluation:
            async with open_asker(self.home, environment, "run", 5.0) as asker:
                evaluator = Evaluator(asker, {JUDGE: judge}, silent=silent)
                results = await evaluator.evaluate(version, cases)
                facts = (version.identity, cases.identity, "m", environment, results)
                return PromptEvaluation("greet", 1, *facts)

        return asyncio.run(evaluate())

    def decide(self, environment: str = "production", **limits: Any) -> Verdict:
        """Evaluate v1; return the prompt gate's verdict."""
        found = load_prompt("greet", self.root)
        gates = found.limits.gates_of(environment).model_copy(update=limits)
        checks = plan_checks(found.versions[1], found.eval_set, {})
        standings = {JUDGE: explain_standing(self.load(), environment)}
        return judge_results(checks, gates, standings, self.evaluate(environment), None)[0]


def write_labels(count: int = LABELS) -> list[dict[str, str]]:
    return [{"input": "x", "answer": f"a{n}", "grade": GRADES[n % 2]} for n in range(count)]


def make_judged(
    provider: FakeProvider, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> JudgedPrompt:
    """Write the prompt and its judge into a folder; the project's code asks the provider."""
    monkeypatch.delenv("SLUICE_CONTROL_URL", raising=False)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    use_config(monkeypatch, write_config(provider, limits={}))
    monkeypatch.setattr(
        "tasks.prompts.asking.prepare_control", lambda _home=None: prepare_control(Home(folder))
    )
    write_judged(folder / "prompts")
    return JudgedPrompt(folder / "prompts", Home(folder), provider)


def write_judged(root: Path) -> Path:
    """Write the prompt and its judge, with labels and without a proof; return its folder."""
    rows = [{"input": f"{n}"} for n in range(CASES)]
    folder = write_prompt(root, rows, model="claude", eval_criteria=CRITERIA)
    judge = root / "judges" / JUDGE
    judge.mkdir(parents=True)
    (judge / "v1.yaml").write_text(VERSION)
    (judge / "judge.yaml").write_text(FILE)
    write_rows(judge / "labels.jsonl", write_labels())
    return folder


def use_config(monkeypatch: pytest.MonkeyPatch, config: ProvidersConfig) -> None:
    """Let the project's code use these providers and models."""
    for module in ("tasks.prompts.asking", "tasks.prompts.judging"):
        monkeypatch.setattr(f"{module}.load_providers", lambda: config)


def embed_model(config: ProvidersConfig) -> ProvidersConfig:
    """Return a configuration in which the embedded model answers for all names in development."""
    small = config.models["claude"].model_copy(update={"provider": "near", "id": "small"})
    changes = {
        "providers": {**config.providers, "near": LocalProvider(kind="local")},
        "models": {**config.models, "small": small},
        "environments": {"development": ModelChoices(instead={"claude": "small"})},
    }
    return config.model_copy(update=changes)


@dataclass(frozen=True)
class PlannedJudge:
    """Answers the prompt, and grades as people did but for the first `wrong` labels of a grade.

    `errs` is called with the number of each answer of the prompt that is to be graded; where it
    returns an answer or a fault, that is what the judge replies.
    """

    wrong: int = 0
    errs: Any = None

    def __call__(self, asked: AskedRequest) -> FakeAnswer:
        kind, _, text = asked.question.partition(": ")
        if kind != "Answer":
            return FakeAnswer(f"Hello {asked.question.split()[-1].strip('.')}")
        if text.startswith("Hello"):
            number = int(text.split()[-1])
            return (self.errs and self.errs(number)) or FakeAnswer("good")
        number = int(text.removeprefix("a"))
        return FakeAnswer(GRADES[(number + (number // 2 < self.wrong)) % 2])
