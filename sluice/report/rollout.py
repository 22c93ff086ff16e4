"""A rollout as a page that a person reads: where it is, both arms, evidence, what was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from sluice.rollout.log import describe_tests
from sluice.rollout.observation import Observation
from sluice.rollout.record import RolloutRecord

Z = 1.959964
"""Normal quantile of a two-sided 95 % interval."""
NONE_SEEN = "none seen"
MOST = 30
"""Decisions that a page shows, the last ones."""


@dataclass(frozen=True)
class LogLine:
    """One decision as a page shows it: when, what and why."""

    at: str
    verb: str
    reason: str


def write_page(
    course: RolloutRecord,
    decisions: Sequence[LogLine],
    notes: Sequence[str] = (),
    picture: str = "",
) -> str:
    """Give a rollout's page as markdown; `picture` is the evidence so far, a PNG in base64."""
    state, policy = course.state, course.policy
    stage = policy.stages[state.stage]
    lines = [
        f"# {course.service}: v{course.candidate} beside v{course.champion}",
        "",
        "| phase | stage | weight | blocks | policy | rollout |",
        "|---|---|---|---|---|---|",
        f"| **{state.phase}** | {stage.name} | {state.weight(policy):.0%} | {state.seen.blocks} of "
        f"{policy.count_blocks(stage.min)} to {policy.count_blocks(stage.max)} | {policy.policy} | "
        f"{course.number} |",
        "",
        *([f"Why: {_escape(state.reason)}", ""] if state.reason else []),
        *(f"- {_escape(note)}" for note in notes),
        *([""] if notes else []),
        "## Evidence in this stage",
        "",
        *_write_tests(course),
        "",
        "Evidence is a natural logarithm; at its threshold a rule stops the candidate. A rule that "
        "has to be passed is passed at its own.",
        "",
        *([f"![evidence by tick](data:image/png;base64,{picture})", ""] if picture else []),
        "## Decisions",
        "",
        "| UTC | decision | why |",
        "|---|---|---|",
        *(f"| {one.at} | {one.verb} | {_escape(one.reason)} |" for one in decisions[-MOST:]),
    ]
    return "\n".join(lines)


def _write_tests(course: RolloutRecord) -> list[str]:
    rows = [
        "| rule | candidate | champion | limit | evidence | stops at | passes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, told in describe_tests(course.state, course.policy).items():
        item = course.state.seen.evidence[name].rollback
        candidate = write_rate(float(item.failures), float(item.requests))
        champion = _write_champion(course.state.seen, name)
        limit = "none yet" if champion == NONE_SEEN else f"{told['limit']:.2%}"
        passed = "" if told["pass"] is None else f"{told['pass']:.2f}"
        rows.append(
            f"| {name} | {candidate} | {champion} | {limit} | {told['wealth']:.2f} | "
            f"{told['threshold']:.2f} | {passed} |"
        )
    return rows


def _write_champion(seen: Observation, name: str) -> str:
    history = seen.evidence[name].history
    return write_rate(float(history.k.sum()), float(history.n.sum()))


def write_rate(hits: float, trials: float) -> str:
    """Give a rate with its 95 % interval (Wilson 1927) and what it was counted on."""
    if trials <= 0:
        return NONE_SEEN
    rate, low, high = bound_rate(hits, trials)
    return f"{rate:.2%} [{low:.2%}, {high:.2%}], n {trials:,.0f}"


def bound_rate(hits: float, trials: float) -> tuple[float, float, float]:
    """Give a rate and the ends of its 95 % interval (Wilson 1927); `trials` are more than 0."""
    rate = hits / trials
    middle = (rate + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    spread = Z * sqrt(rate * (1 - rate) / trials + Z**2 / (4 * trials**2)) / (1 + Z**2 / trials)
    return rate, max(0.0, middle - spread), min(1.0, middle + spread)


def write_overview(rows: Sequence[Mapping[str, Any]]) -> str:
    """Give what is live everywhere as markdown, one row a service."""
    names = ("service", "serves", "on trial", "phase", "stage", "weight", "controller", "note")
    cells = [[_escape(str(row.get(name, ""))) for name in names] for row in rows]
    table = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join(["# What is live", "", *table, *(f"| {' | '.join(row)} |" for row in cells)])


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
