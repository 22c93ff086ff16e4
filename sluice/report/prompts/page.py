"""A prompt's evaluation as one HTML file that needs nothing else: no script, no address."""

from collections.abc import Sequence
from pathlib import Path

from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.report.html import load_page, read_style
from sluice.report.prompts.pairs import format_dollars, pair_cases
from sluice.report.prompts.versions import list_versions
from sluice.report.verdict_table import summary_rows, verdict_rows
from sluice.verdict import Outcome, Verdict

FOLDER = Path(__file__).parent
MOST_SHOWN = 40
"""Cases that are open; the others are folded."""
HEADLINES = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "refused",
    Outcome.INSUFFICIENT: "not decided",
}


def write_page(
    new: PromptEvaluation,
    old: PromptEvaluation | None,
    verdicts: Sequence[Verdict],
    criteria: Sequence[str],
) -> str:
    """Write the report; every word of inputs and answers is escaped."""
    pairs = pair_cases(new, old, criteria)
    outcome = find_outcome(verdicts)
    stopped = [item for item in verdicts if not item.passed]
    return str(
        load_page(FOLDER).render(
            style=read_style(FOLDER),
            headline=HEADLINES[outcome],
            outcome=outcome.value,
            messages=[f"{item.gate}: {item.message}" for item in stopped or verdicts],
            new=new,
            old=old,
            facts=list_facts(new, old),
            versions=list_versions(new, old),
            gates=summary_rows(verdicts),
            checks=[
                (item.gate, verdict_rows(item)) for item in [*stopped, *_list_passed(verdicts)]
            ],
            notices=[notice for item in verdicts for notice in item.notices],
            shown=pairs[:MOST_SHOWN],
            folded=pairs[MOST_SHOWN:],
        )
    )


def find_outcome(verdicts: Sequence[Verdict]) -> Outcome:
    """Return the outcome of all gates together; without any verdict nothing is decided."""
    outcomes = {item.outcome for item in verdicts}
    for outcome in (Outcome.FAIL, Outcome.INSUFFICIENT):
        if outcome in outcomes:
            return outcome
    return Outcome.PASS if outcomes else Outcome.INSUFFICIENT


def list_facts(new: PromptEvaluation, old: PromptEvaluation | None) -> list[tuple[str, str]]:
    """Return what was evaluated: model, cases, repeats, cost and time."""
    repeats = max((len(case.answers) for case in new.cases), default=0)
    cached = sum(answer.is_cached for case in new.cases for answer in case.answers)
    answers = sum(len(case.answers) for case in new.cases)
    facts = [
        ("environment", new.environment),
        ("model", new.model),
        ("cases", f"{len(new.cases):,}, each asked {_count_times(repeats)}"),
        ("answers from the cache", f"{cached:,} of {answers:,}"),
        ("spent now", format_dollars(new.spent)),
        ("time", f"{new.seconds:,.1f} s"),
        ("version", new.identity[:12]),
        ("evaluation set", new.eval_set[:12]),
    ]
    if new.similarity:
        facts.append(("similarity by", new.similarity))
    return (
        [*facts, ("active version's model", old.model)] if old and old.model != new.model else facts
    )


def _count_times(repeats: int) -> str:
    return "once" if repeats == 1 else f"{repeats} times"


def _list_passed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [item for item in verdicts if item.passed]
