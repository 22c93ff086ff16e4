"""What one answer to a case is worth by each criterion that a function scores."""

from sluice.prompts.cases import EvalCase
from sluice.prompts.chat import ChatReply
from sluice.prompts.criterion import Criterion
from sluice.prompts.scorers.scoring import CriterionScore, JudgedAnswer, ScoringParts
from sluice.prompts.version import PromptVersion


def describe_answer(version: PromptVersion, case: EvalCase, reply: ChatReply) -> JudgedAnswer:
    """Return a reply with what scorers compare it to."""
    context = case.context or version.context
    return JudgedAnswer(
        text=reply.text,
        tool_calls=reply.tool_calls,
        values=version.read_values(case.input, has_context=bool(context)),
        context=context,
        reference=case.expected,
        output_schema=version.output_schema,
    )


def score_criterion(
    criterion: Criterion, answer: JudgedAnswer, parts: ScoringParts
) -> CriterionScore:
    """Return the score of an answer by a criterion that a function scores."""
    score = criterion.scorer.score
    if score is None:
        return CriterionScore(None, f"a judge scores it: {criterion.judge_name}")
    try:
        found = score(answer, criterion.expected, parts)
    except Exception as error:
        return CriterionScore(None, f"the scorer failed: {type(error).__name__}")
    if found.value is not None and not 0.0 <= found.value <= 1.0:  # NaN too
        return CriterionScore(None, f"the scorer gave {found.value}; allowed: 0 to 1")
    return found
