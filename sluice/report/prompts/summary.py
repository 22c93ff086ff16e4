"""The verdicts of a prompt as Markdown, for the artifact and for the summary of a CI job."""

from collections.abc import Mapping, Sequence

from sluice.prompts.evaluation.checks import PlannedCheck
from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.prompts.folder import Prompt
from sluice.report.markdown import Column, escape, write_fitted
from sluice.report.prompts.page import HEADLINES, find_outcome, list_facts
from sluice.report.prompts.versions import list_versions
from sluice.report.verdict_table import write_checks, write_summary
from sluice.verdict import Verdict

MOST_CHECKS = 12
"""Checks of a gate in the summary; the report has all."""
PLANNED = (Column("check", 24), Column("limit", 12), Column("why", 40))


def write_markdown(
    new: PromptEvaluation, old: PromptEvaluation | None, verdicts: Sequence[Verdict]
) -> str:
    """Write the summary: the outcome first, then the gates and what stopped them."""
    beside = f" beside v{old.version}" if old else ""
    outcome = HEADLINES[find_outcome(verdicts)]
    parts = [
        f"## {new.prompt} v{new.version}{beside}: {outcome}",
        write_summary(verdicts),
        write_versions(list_versions(new, old)),
    ]
    for verdict in verdicts:
        if not verdict.passed:
            parts += [
                f"### {verdict.gate}: {verdict.outcome.value}",
                *write_checks(verdict, MOST_CHECKS),
            ]
            parts += [f"Next: {verdict.next_step}."] if verdict.next_step else []
    facts = list_facts(new, old)
    parts.append(" · ".join(f"{name}: {value}" for name, value in facts))
    return "\n\n".join(parts) + "\n"


def write_versions(rows: Sequence[Mapping[str, str]]) -> str:
    """Write what each version scored and cost, a column each: there may be many criteria."""
    columns = [Column("figure", 30), *(Column(row["version"], 16) for row in rows)]
    names = [name for name in rows[0] if name != "version"]
    return write_fitted(columns, [[name, *(row[name] for row in rows)] for name in names])


def write_unasked(
    prompt: Prompt,
    version: int,
    checks: Sequence[PlannedCheck],
    obstacle: str,
    differences: Sequence[str],
) -> str:
    """Write what is known of a version whose model nobody asked: all that needs no provider.

    `differences` are those from the version that is wished or serves, one a line.
    """
    found = prompt.find_version(version)
    fact, _, step = obstacle.partition("; next: ")
    cases = f"{len(prompt.eval_set.cases):,} cases, {found.repeated} answers each"
    bias = f"{len(prompt.bias_set.cases):,} bias cases" if prompt.bias_set else "no bias set"
    rows = [(check.name, f"above {check.limit:g}", check.reason) for check in checks]
    parts = [
        f"## {prompt.name} v{version}: not evaluated",
        f"No model was asked: {escape(fact)}.",
        *([f"Next: {escape(step)}."] if step else []),
        "The files are valid and fit together; no verdict follows from that.",
        f"Model {found.model}; {cases}; {bias}; identity `{found.identity[:12]}`.",
        write_fitted(PLANNED, rows),
    ]
    if differences:
        lines = "\n".join(f"    {line}" for line in differences)
        parts += ["What differs:", lines]
    return "\n\n".join(parts) + "\n"


def write_failure(prompt: str, version: int, error: str, fact: str) -> str:
    """Write why a version has no verdict: what was refused, or failed."""
    headline, _, step = fact.partition("; next: ")
    parts = [f"## {prompt} v{version}: {error}", escape(headline)]
    return "\n\n".join([*parts, *([f"Next: {escape(step)}."] if step else [])]) + "\n"
