"""The pages of an approval: the request with the verdicts, and the decision on record."""

from collections.abc import Mapping, Sequence

from sluice.control.approval import Approval, ApprovalAnswer, ApprovalDecision, write_moment
from sluice.report.markdown import Column, write_fitted
from sluice.report.next_steps import DEAD_LINK
from sluice.report.verdict_table import write_checks, write_summary
from sluice.verdict import Verdict

FACTS = (Column("decision", 10), Column("", 70))
MAX_CHECKS = 40
"""Most checks of a gate on the page; failed and undecided checks come first."""


def write_request(
    approval: Approval,
    verdicts: Sequence[Verdict],
    links: Mapping[str, str],
    form: str,
    comparison: str = "",
) -> str:
    """Write the page that asks a person for a decision, as Markdown.

    `links` are addresses by their label; `form` is the address of the form, empty without one;
    `comparison` is a table of champion and candidate.
    """
    service, version = approval.service, approval.version
    name = f"{service} --version {version} --by NAME --reason WORDS"
    ways = [f"- in the browser: [the form]({form})"] if form else []
    ways += [
        f"- in a terminal, to approve: `sluice approve {name}`",
        f"- in a terminal, to refuse: `sluice refuse {name}`",
    ]
    parts = [
        f"# {service} v{version} waits for your approval",
        f"**Decide before {write_moment(approval.deadline)}.** Without an answer by then the "
        "request expires and the version is no longer a candidate. Decide on the verdicts below.",
        *_write_undecided(verdicts),
        "\n".join(ways),
        write_links(links),
        *_write_comparison(comparison),
        "## Verdicts",
        *write_verdicts(verdicts),
    ]
    return "\n\n".join(parts) + "\n"


def write_decision(
    decision: ApprovalDecision,
    verdicts: Sequence[Verdict],
    links: Mapping[str, str],
    follows: str,
    comparison: str = "",
) -> str:
    """Write a decision, what it was made on, and what `follows`."""
    name = f"{decision.service} v{decision.version}"
    facts = [
        ("by", decision.by),
        ("reason", decision.reason),
        ("when", write_moment(decision.at)),
        ("verdicts", f"`{decision.verdict_digest[:12]}`"),
    ]
    parts = [
        f"# {name} is {decision.answer.value}",
        write_fitted(FACTS, [("answer", decision.answer.value), *facts]),
        follows,
        write_links(links),
        "The decision was made on what follows.",
        *_write_comparison(comparison),
        *write_verdicts(verdicts),
    ]
    return "\n\n".join(parts) + "\n"


def describe_answer(answer: ApprovalAnswer, service: str, version: int, alias: str) -> str:
    """Say in one sentence what an answer leads to; `alias` is the version's alias now."""
    if answer is ApprovalAnswer.APPROVED and alias == "champion":
        return f"{service} v{version} is champion: the service had none."
    if answer is ApprovalAnswer.APPROVED:
        return f"{service} v{version} is candidate; `sluice promote {service}` makes it champion."
    return f"{service} v{version} is no longer a candidate; the champion continues to serve."


def write_links(links: Mapping[str, str]) -> str:
    """Write addresses in one line, by their label, and how to get a dead page back.

    Empty addresses are left out.
    """
    shown = [f"[{label}]({address})" for label, address in links.items() if address]
    return " | ".join([*shown, DEAD_LINK] if shown else [])


def write_verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    """Write one table of all gates, then one of each gate's checks, undecided gates first."""
    parts = [write_summary(verdicts)]
    for verdict in sorted(verdicts, key=_rank):
        parts += [f"## {verdict.gate} gate: {verdict.outcome.value}"]
        parts += write_checks(verdict, MAX_CHECKS)
    return parts


def _write_comparison(table: str) -> list[str]:
    return ["## Champion and candidate", table] if table else []


def _rank(verdict: Verdict) -> tuple[bool, bool]:
    """Rank undecided gates first, and the data gate with its many rules last."""
    return verdict.passed, verdict.gate == "data"


def _write_undecided(verdicts: Sequence[Verdict]) -> list[str]:
    """Name each undecided gate, with its reason and what would decide it."""
    return [
        f"**The {item.gate} gate is undecided:** {item.reason}. To decide it: {item.next_step}."
        for item in verdicts
        if not item.passed
    ]
