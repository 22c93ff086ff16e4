"""What a person sees before and after deciding on a version: the verdicts, and how to decide."""

from collections.abc import Mapping, Sequence

from sluice.control.approval import Approval, ApprovalAnswer, ApprovalDecision, write_moment
from sluice.report.card import write_table
from sluice.report.verdict_table import summary_rows, verdict_rows
from sluice.verdict import Verdict

COLUMNS = ("check", "outcome", "measured", "interval", "limit", "n", "note")
MOST = 40
"""Most checks of a gate that the page has; what stopped or was open comes first."""


def write_request(
    approval: Approval, verdicts: Sequence[Verdict], links: Mapping[str, str], form: str
) -> str:
    """Write the page that asks a person for a decision, as Markdown.

    `links` are addresses by their words, `form` is the address of the form, empty where none is.
    """
    service, version = approval.service, approval.version
    name = f"{service} --version {version} --by NAME --why WORDS"
    ways = [f"- in the browser: [the form that decides]({form})"] if form else []
    ways += [
        f"- in a terminal: `sluice approve {name}`",
        f"- or against it: `sluice refuse {name}`",
    ]
    parts = [
        f"# {service} v{version} waits for your approval",
        f"**Decide before {write_moment(approval.deadline)}.** With no answer by then it is closed "
        "and is no candidate any more. What you decide upon are the verdicts below.",
        *_write_open(verdicts),
        "\n".join(ways),
        write_links(links),
        *write_verdicts(verdicts),
    ]
    return "\n\n".join(parts) + "\n"


def write_decision(
    decision: ApprovalDecision, verdicts: Sequence[Verdict], links: Mapping[str, str], follows: str
) -> str:
    """Write what was decided, by whom and upon which verdicts; `follows` is what comes of it."""
    name = f"{decision.service} v{decision.version}"
    facts = [
        ("by", decision.by),
        ("why", decision.why),
        ("when", write_moment(decision.at)),
        ("verdicts", f"`{decision.verdict_digest[:12]}`"),
    ]
    parts = [
        f"# {name} is {decision.answer.value}",
        write_table(("decision", decision.answer.value), facts),
        follows,
        write_links(links),
        "These are the verdicts that were decided upon.",
        *write_verdicts(verdicts),
    ]
    return "\n\n".join(parts) + "\n"


def describe_answer(answer: ApprovalAnswer, service: str, version: int, alias: str) -> str:
    """Say in one sentence what comes of an answer; `alias` is what the version carries now."""
    if answer is ApprovalAnswer.APPROVED and alias == "champion":
        return f"{service} v{version} is champion: the service had none."
    if answer is ApprovalAnswer.APPROVED:
        return f"{service} v{version} is candidate; `sluice promote {service}` makes it champion."
    return f"{service} v{version} is no candidate any more; what serves stays."


def write_links(links: Mapping[str, str]) -> str:
    """Write addresses in one line, by their words; those without an address are left out."""
    return " | ".join(f"[{words}]({address})" for words, address in links.items() if address)


def write_verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    """Write one table of all gates, then one of each gate's checks, what is open first."""
    heads = ("gate", "outcome", "checks", "reason")
    summary = [[row[head] for head in heads] for row in summary_rows(verdicts)]
    parts = [write_table(heads, summary)]
    for verdict in sorted(verdicts, key=_rank):
        rows = [[row[head] for head in COLUMNS] for row in verdict_rows(verdict)]
        parts += [f"## {verdict.gate} gate: {verdict.outcome.value}"]
        parts += [write_table(COLUMNS, rows[:MOST])]
        if len(rows) > MOST:
            parts.append(f"{len(rows) - MOST} checks more in `verdicts/{verdict.gate}.json`.")
    return parts


def _rank(verdict: Verdict) -> tuple[bool, bool]:
    """Put what is open first, and the data gate's many rules last."""
    return verdict.passed, verdict.gate == "data"


def _write_open(verdicts: Sequence[Verdict]) -> list[str]:
    """Put what no gate could tell in sight."""
    return [
        f"**The {item.gate} gate could not tell:** {item.reason}. To know more: {item.next_step}."
        for item in verdicts
        if not item.passed
    ]
