"""The evaluation of a version: every case is asked, scored and judged, many at a time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Protocol

from sluice.errors import BudgetExceeded, SluiceError
from sluice.prompts.cases import EvalCase, EvalSet
from sluice.prompts.chat import ChatReply, ChatRequest
from sluice.prompts.criterion import Criterion
from sluice.prompts.evaluation.case_scores import describe_answer, score_criterion
from sluice.prompts.evaluation.checks import list_judged
from sluice.prompts.evaluation.judges import PromptJudge
from sluice.prompts.evaluation.results import AnswerResult, CaseResult
from sluice.prompts.rendering import render_request
from sluice.prompts.scorers.scoring import JudgedAnswer, ScoringParts
from sluice.prompts.version import PromptVersion

AT_A_TIME = 256
"""Answers in work at most; how many requests a provider gets at a time is the client's to say."""
Report = Callable[[int, int], None]
"""Is told how many of how many answers are done."""


@dataclass(frozen=True)
class Asked:
    """A model's reply, and whether it was kept from an earlier evaluation."""

    reply: ChatReply
    is_cached: bool = False


class Asker(Protocol):
    """Asks a model within a budget, and keeps its replies."""

    async def ask(self, request: ChatRequest, sample: int) -> Asked:
        """Return the reply to a request; `sample` tells repeats of it apart.

        Raises:
            BudgetExceeded: the call could spend more than is left.
            SluiceError: the provider refused, or did not answer.
        """
        ...


@dataclass
class Evaluator:
    """Evaluates versions with one model client, one set of judges, and one budget.

    Once the budget is spent, nothing more is asked: the cases left are not run, by that name.
    `silent` are judges that are not asked at all, each with the reason.
    """

    asker: Asker
    judges: Mapping[str, PromptJudge] = field(default_factory=dict)
    parts: ScoringParts = ScoringParts()  # noqa: RUF009 - it is frozen and empty
    report: Report = lambda _done, _all: None
    silent: Mapping[str, str] = field(default_factory=dict)
    _spent_out: str = field(default="", init=False)
    _done: int = field(default=0, init=False)

    async def evaluate(self, version: PromptVersion, cases: EvalSet) -> tuple[CaseResult, ...]:
        """Return the results of all cases, in the order of the file."""
        places = asyncio.Semaphore(AT_A_TIME)
        total = len(cases.rows) * version.repeated
        self._done = 0

        async def answer(case: EvalCase, sample: int) -> AnswerResult:
            async with places:
                found = await self._answer(version, case, sample)
            self._done += 1
            self.report(self._done, total)
            return found

        async def run(line: int, case: EvalCase) -> CaseResult:
            samples = range(version.repeated)
            answers = await asyncio.gather(*(answer(case, sample) for sample in samples))
            return describe_case(line, case, answers)

        return tuple(await asyncio.gather(*(run(*row) for row in cases.rows.items())))

    async def _answer(self, version: PromptVersion, case: EvalCase, sample: int) -> AnswerResult:
        request = render_request(version, case.input, case.context)
        try:
            asked = await self._ask(request, sample)
        except SluiceError as error:
            return AnswerResult(failure=str(error))
        found = AnswerResult(
            text=asked.reply.text,
            usage=asked.reply.usage,
            cost=asked.reply.cost,
            seconds=asked.reply.seconds,
            is_cached=asked.is_cached,
        )
        judged = describe_answer(version, case, asked.reply)
        return await self._score(found, list_judged(version, case), judged, sample)

    async def _score(
        self,
        found: AnswerResult,
        criteria: Sequence[Criterion],
        answer: JudgedAnswer,
        sample: int,
    ) -> AnswerResult:
        scores: dict[str, float] = {}
        notes: dict[str, str] = {}
        errors: dict[str, str] = {}
        for item in criteria:
            try:
                value, note = await self._score_one(item, answer, sample)
            except (SluiceError, ValueError) as error:
                errors[item.name] = str(error)
                continue
            if value is None:
                errors[item.name] = note
                continue
            scores[item.name] = value
            if note:
                notes[item.name] = note
        return replace(found, scores=scores, notes=notes, errors=errors)

    async def _score_one(
        self, item: Criterion, answer: JudgedAnswer, sample: int
    ) -> tuple[float | None, str]:
        """Return a criterion's score and what was seen; a score of None: it could not be scored.

        Raises:
            SluiceError: the judge's provider refused, or did not answer.
            ValueError: the judge's reply is no grade.
        """
        if item.scorer.score is not None:
            found = score_criterion(item, answer, self.parts)
            return found.value, found.reason
        if why := self.silent.get(item.judge_name):
            return None, why
        judge = self.judges.get(item.judge_name)
        if judge is None:
            return None, f"there is no judge '{item.judge_name}'"
        request = judge.make_request(answer.source, answer.text, answer.reference or "")
        asked = await self._ask(request, sample)
        grade = judge.read_grade(asked.reply.text)
        worth = judge.file.grades[grade]
        return worth, "" if worth == 1.0 else f"graded {grade}"

    async def _ask(self, request: ChatRequest, sample: int) -> Asked:
        if self._spent_out:
            raise BudgetExceeded(self._spent_out)
        try:
            return await self.asker.ask(request, sample)
        except BudgetExceeded as error:
            self._spent_out = str(error)
            raise


def describe_case(line: int, case: EvalCase, answers: Sequence[AnswerResult]) -> CaseResult:
    """Return the result of a case; its key is the same as long as input and passages are."""
    given = case.input if isinstance(case.input, str) else _write_values(case.input)
    key = sha256(case.key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return CaseResult(key, given, tuple(answers), case.expected or "", case.tags, line)


def _write_values(values: Mapping[str, str]) -> str:
    if len(values) == 1:
        return next(iter(values.values()))
    return "\n\n".join(f"{name}: {text}" for name, text in values.items())
