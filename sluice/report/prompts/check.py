"""What a prompt that serves gives now, beside its release and beside its model's fallback."""

from collections.abc import Mapping, Sequence

from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.report.markdown import Column, escape, write_fitted
from sluice.report.verdict_table import format_number, write_checks, write_summary
from sluice.verdict import Verdict

SCORES = (Column("criterion", 26), Column("release", 14), Column("now", 14), Column("fallback", 14))


def write_check(
    new: PromptEvaluation,
    old: PromptEvaluation | None,
    fallback: PromptEvaluation | None,
    verdicts: Sequence[Verdict],
) -> str:
    """Write the gates' verdicts, what fails, and the mean scores side by side."""
    beside = "the evaluation of its release" if old else "its limits alone: its cases changed"
    columns = [_score(item) for item in (old, new, fallback)]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [
        [name, *(format_number(column.get(name), whole=False) for column in columns)]
        for name in names
    ]
    parts = [
        f"## {new.prompt} v{new.version}, asked anew",
        f"{len(new.cases):,} cases; {escape(new.model)}; compared with {beside}.",
        write_summary(verdicts),
        write_fitted(SCORES, rows),
    ]
    for verdict in verdicts:
        if not verdict.passed:
            parts += [f"### {verdict.gate}: {verdict.outcome.value}", *write_checks(verdict, 12)]
    if fallback:
        parts.append(f"The fallback is {escape(fallback.model)}.")
    return "\n\n".join(parts) + "\n"


def _score(found: PromptEvaluation | None) -> Mapping[str, float]:
    """Return the mean score of each criterion over the cases that have it."""
    scores: dict[str, list[float]] = {}
    for case in found.cases if found else ():
        for answer in case.answers:
            for name, value in answer.scores.items():
                scores.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in scores.items()}
