"""Whether a candidate's answer agrees with the champion's, by the prompt's own scorers.

| a criterion | a candidate's answer differs where |
|---|---|
| of form, safety or refusal | it breaks the criterion, and the champion's answer does not |
| that compares with a case's reference, such as `exact` | it does not match the champion's answer |
| that gives a share, such as `grounding` | it is below the threshold, and the champion's is not |

Only scorers that are functions of the texts count: no judge, no embeddings, no trained detector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sluice.guardrails.inspection import INJECTION
from sluice.prompts.chat import ToolCall
from sluice.prompts.criterion import Criterion
from sluice.prompts.evaluation.checks import find_implied
from sluice.prompts.scorers.scoring import JudgedAnswer, ScoringParts
from sluice.prompts.version import PromptVersion

HEAVY = ("similarity", "llm_judge")
"""Types of criteria that need a model."""


@dataclass(frozen=True)
class LiveAnswer:
    """An answer as its caller got it: the text, and the tools that it calls."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()


def list_comparable(version: PromptVersion) -> tuple[Criterion, ...]:
    """Return a version's criteria that can compare two answers without a model."""
    implied = find_implied(version, {item.name for item in version.eval_criteria})
    criteria = (*version.eval_criteria, *((implied,) if implied else ()))
    return tuple(
        item
        for item in criteria
        if item.type not in HEAVY
        and INJECTION not in item.guardrails
        and (item.scorer.is_binary or item.threshold is not None)
    )


def find_difference(
    version: PromptVersion,
    variables: Mapping[str, str] | str,
    context: Sequence[str],
    answers: tuple[LiveAnswer, LiveAnswer],
) -> str | None:
    """Return the first criterion of the candidate's version by which its answer differs.

    `answers` are the champion's and the candidate's, to the same `variables` and passages. Empty:
    they agree by all criteria. None: no criterion could compare them.
    """
    champion, candidate = answers
    values = version.read_values(
        variables if isinstance(variables, str) else dict(variables),
        has_context=bool(context or version.context),
    )
    shared = JudgedAnswer(
        text=champion.text,
        tool_calls=champion.tool_calls,
        values=values,
        context=tuple(context) or version.context,
        reference=champion.text,
        output_schema=version.output_schema,
    )
    other = replace(shared, text=candidate.text, tool_calls=candidate.tool_calls)
    is_compared = False
    for criterion in list_comparable(version):
        is_good, was_good = _holds(criterion, other), _holds(criterion, shared)
        if is_good is None or was_good is None:
            continue
        is_compared = True
        if was_good and not is_good:
            return criterion.name
    return "" if is_compared else None


def _holds(criterion: Criterion, answer: JudgedAnswer) -> bool | None:
    """Whether an answer meets a criterion; None where that could not be judged."""
    score = criterion.scorer.score
    if score is None:
        return None
    try:
        value = score(answer, criterion.expected, ScoringParts()).value
    except Exception:  # a scorer of a team's own may raise anything
        return None
    if value is None:
        return None
    limit = 1.0 if criterion.scorer.is_binary else criterion.threshold or 1.0
    return value >= limit
