"""Versions side by side as a table: what each scored, the tokens and the cost of an answer."""

from collections.abc import Iterable, Sequence

from sluice.gates.finding import format_figure
from sluice.prompts.evaluation.results import AnswerResult, PromptEvaluation, mean_known
from sluice.report.prompts.pairs import format_dollars
from sluice.rounding import format_duration

LARGE = 10.0
"""Mean tokens from which on a decimal says nothing."""


def list_versions(new: PromptEvaluation, old: PromptEvaluation | None) -> list[dict[str, str]]:
    """Return one row a version: mean score of each criterion, tokens and cost of an answer.

    A criterion that a version does not have is `-`.
    """
    versions = [(new, f"v{new.version}")]
    if old and old.version != new.version:
        versions.append((old, f"v{old.version}, serves"))
    criteria = dict.fromkeys(
        name for item, _ in versions for one in _list_answers(item) for name in one.scores
    )
    return [_describe(item, name, list(criteria)) for item, name in versions]


def _describe(item: PromptEvaluation, name: str, criteria: Sequence[str]) -> dict[str, str]:
    answers = [one for one in _list_answers(item) if not one.failure]
    scores = {
        criterion: mean_known(
            score for case in item.cases if (score := case.score(criterion)) is not None
        )
        for criterion in criteria
    }
    kept = sum(one.is_cached for one in answers)
    given = mean_known(_count_input(one) for one in answers)
    written = mean_known(one.usage.output for one in answers)
    return {
        "version": name,
        **{
            criterion: "-" if score is None else format_figure(score)
            for criterion, score in scores.items()
        },
        "tokens in": _write_tokens(given),
        "out": _write_tokens(written),
        "cost an answer": format_dollars(mean_known(one.cost for one in answers)),
        "answers": f"{len(answers):,}",
        "kept": f"{kept:,}",
        "time": format_duration(item.seconds),
    }


def _write_tokens(mean: float | None) -> str:
    if mean is None:
        return "unknown"
    return f"{mean:,.1f}" if mean < LARGE else f"{mean:,.0f}"


def _list_answers(item: PromptEvaluation) -> Iterable[AnswerResult]:
    return (answer for case in item.cases for answer in case.answers)


def _count_input(answer: AnswerResult) -> float | None:
    usage = answer.usage
    return None if usage.input is None else usage.input + usage.cache_read + usage.cache_write
