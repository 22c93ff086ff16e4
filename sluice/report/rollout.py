"""A rollout's page for people: its stage, both arms, the evidence and the decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from sluice.report.next_steps import advise
from sluice.rollout.log import describe_tests
from sluice.rollout.observation import Observation
from sluice.rollout.record import RolloutRecord
from sluice.rounding import write_fixed

Z = 1.959964
"""Normal quantile of a two-sided 95 % interval."""
NONE_SEEN = "none seen"
MAX_DECISIONS = 30
"""Most decisions that a page shows, the last ones."""


@dataclass(frozen=True)
class DecisionLine:
    """One decision as a page shows it: its time, what it was, and its reason."""

    at: str
    verb: str
    reason: str


def write_page(
    record: RolloutRecord,
    decisions: Sequence[DecisionLine],
    notes: Sequence[str] = (),
    picture: str = "",
) -> str:
    """Write a rollout's page as Markdown; `picture` is a PNG of the evidence as base64."""
    state, policy = record.state, record.policy
    stage = policy.stages[state.stage]
    least, most = policy.count_blocks(stage.min), policy.count_blocks(stage.max)
    blocks = f"{state.observation.blocks} of {least} to {most}"
    shown = decisions[-MAX_DECISIONS:]
    lines = [
        f"# {record.service}: v{record.candidate} beside v{record.champion}",
        "",
        "| phase | stage | weight | blocks | policy | rollout |",
        "|---|---|---|---|---|---|",
        f"| **{state.phase}** | {stage.name} | {state.weight(policy):.0%} | {blocks} | "
        f"{policy.policy} | {record.number} |",
        "",
        *([f"Reason: {_escape(state.reason)}", ""] if state.reason else []),
        *([f"Next: {_escape(advice)}", ""] if (advice := advise(record)) else []),
        *(f"- {_escape(note)}" for note in notes),
        *([""] if notes else []),
        "## Evidence in this stage",
        "",
        *_write_tests(record),
        "",
        "Evidence is a natural logarithm. At `threshold` a rule acts against the candidate; `pass` "
        "is the evidence for the candidate, where a rule has to be passed.",
        "",
        *([f"![evidence by tick](data:image/png;base64,{picture})", ""] if picture else []),
        "## Decisions",
        "",
        "| UTC | decision | reason |",
        "|---|---|---|",
        *(f"| {one.at} | {one.verb} | {_escape(one.reason)} |" for one in shown),
    ]
    return "\n".join(lines)


def _write_tests(record: RolloutRecord) -> list[str]:
    rows = [
        "| rule | candidate | champion | limit | evidence | threshold | pass |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, test in describe_tests(record.state, record.policy).items():
        rollback = record.state.observation.evidence[name].rollback
        candidate = write_rate(float(rollback.failures), float(rollback.requests))
        champion = _write_champion(record.state.observation, name)
        limit = "none yet" if champion == NONE_SEEN else f"{test['limit']:.2%}"
        passed = "" if test["pass"] is None else write_fixed(test["pass"], 2)
        against = write_fixed(test["wealth"] or 0.0, 2)
        rows.append(
            f"| {name} | {candidate} | {champion} | {limit} | {against} | "
            f"{test['threshold']:.2f} | {passed} |"
        )
    return rows


def _write_champion(observation: Observation, name: str) -> str:
    history = observation.evidence[name].history
    return write_rate(float(history.k.sum()), float(history.n.sum()))


def write_rate(hits: float, trials: float) -> str:
    """Write a rate with its 95 % interval (Wilson 1927) and its number of trials."""
    if trials <= 0:
        return NONE_SEEN
    rate, low, high = bound_rate(hits, trials)
    return f"{rate:.2%} [{low:.2%}, {high:.2%}], n {trials:,.0f}"


def bound_rate(hits: float, trials: float) -> tuple[float, float, float]:
    """Return a rate and its 95 % interval (Wilson 1927); `trials` must be more than 0."""
    rate = hits / trials
    middle = (rate + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    spread = Z * sqrt(rate * (1 - rate) / trials + Z**2 / (4 * trials**2)) / (1 + Z**2 / trials)
    return rate, max(0.0, middle - spread), min(1.0, middle + spread)


def write_overview(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the overview of all services as Markdown, one row per service."""
    names = (
        "service",
        "serves",
        "since",
        "on trial",
        "phase",
        "stage",
        "weight",
        "controller",
        "note",
    )
    cells = [[_escape(str(row.get(name, ""))) for name in names] for row in rows]
    table = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join(["# What is live", "", *table, *(f"| {' | '.join(row)} |" for row in cells)])


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
