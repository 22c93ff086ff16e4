"""A gate's verdict as the page that its run shows."""

from sluice.report.next_steps import DEAD_LINK, advise_halt
from sluice.report.verdict_table import write_checks
from sluice.verdict import Verdict

SHOWN = 6
"""How many notes are above the tables, which have all of them."""


def write_verdict(verdict: Verdict, service: str, link: str = "") -> str:
    """Write a verdict as Markdown: reason, next step, notes, every check.

    `link` is the address of the release in the registry, empty without one.
    """
    rest = len(verdict.notices) - SHOWN
    notes = [f"- {notice}" for notice in verdict.notices[:SHOWN]]
    notes += [f"- and {rest} notes more, listed in the tables"] if rest > 0 else []
    parts = [
        f"# {verdict.gate} gate: {verdict.outcome.value}",
        verdict.reason,
        "" if verdict.passed else f"Next: {advise_halt(verdict, service)}",
        "\n".join(notes),
        f"[MLflow run]({link}) | {DEAD_LINK}" if link else "",
        *write_checks(verdict),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
