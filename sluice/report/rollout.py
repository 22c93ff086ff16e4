"""A rollout's page for people: its stage, both arms, the evidence and the decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from sluice.report.markdown import Cell, Column, escape, wrap_cell, write_fitted
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
STATE = (
    Column("phase", 12),
    Column("stage", 15),
    Column("weight", 6),
    Column("blocks", 18),
    Column("policy", 18),
    Column("rollout", 8),
)
RULES = (
    Column("rule", 15),
    Column("candidate", 18),
    Column("champion", 18),
    Column("limit", 8),
    Column("evidence", 16),
)
DECISIONS = (Column("UTC", 14), Column("decision", 14), Column("reason", 62))
LIVE = (Column("service", 42), Column("serves", 22), Column("on trial", 24))


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
        write_fitted(
            STATE,
            [
                (
                    (f"**{state.phase}**",),
                    stage.name,
                    f"{state.weight(policy):.0%}",
                    blocks,
                    policy.policy,
                    str(record.number),
                )
            ],
        ),
        "",
        *([f"Reason: {escape(state.reason)}", ""] if state.reason else []),
        *([f"Next: {escape(advice)}", ""] if (advice := advise(record)) else []),
        *(f"- {escape(note)}" for note in notes),
        *([""] if notes else []),
        "## Evidence in this stage",
        "",
        _write_tests(record),
        "",
        "Evidence is a natural logarithm, against the candidate and of the threshold at which the "
        "rule acts. `for` is the evidence for the candidate, where a rule has to be passed.",
        "",
        *([f"![evidence by tick](data:image/png;base64,{picture})", ""] if picture else []),
        "## Decisions",
        "",
        write_fitted(DECISIONS, [(one.at, one.verb, one.reason) for one in shown]),
    ]
    return "\n".join(lines)


def _write_tests(record: RolloutRecord) -> str:
    rows: list[tuple[Cell, ...]] = []
    for name, test in describe_tests(record.state, record.policy).items():
        rollback = record.state.observation.evidence[name].rollback
        candidate = write_rate(float(rollback.failures), float(rollback.requests))
        champion = _write_champion(record.state.observation, name)
        limit = "none yet" if champion == NONE_SEEN else f"{test['limit']:.2%}"
        against = f"{write_fixed(test['wealth'] or 0.0, 2)} of {test['threshold']:.2f}"
        passed = [] if test["pass"] is None else [f"for: {write_fixed(test['pass'], 2)}"]
        arms = (_break_rate(candidate), _break_rate(champion))
        rows.append((name, *arms, limit, (against, *passed)))
    return write_fitted(RULES, rows)


def _break_rate(rate: str) -> tuple[str, ...]:
    """Break what `write_rate` wrote into its rate, its interval and its number of trials."""
    return tuple(rate.replace(" [", "\n[").replace("], ", "]\n").split("\n"))


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
    """Write the overview of all services as Markdown: a row per service, then the notes.

    A note can have a command, which a cell would cut.
    """
    table = write_fitted(LIVE, [_list_live({**row}) for row in rows])
    notes = [f"- {row['service']}: {escape(str(row['note']))}" for row in rows if row.get("note")]
    return "\n".join(["# What is live", "", table, *([""] if notes else []), *notes])


def _list_live(row: dict[str, Any]) -> list[Cell]:
    """Return the cells of one service; each fact of its rollout has its own line."""
    texts = {name: str(value) for name, value in row.items()}
    since = texts.get("since", "")
    weight = " at ".join(filter(None, (texts.get("stage", ""), texts.get("weight", ""))))
    named = ("on trial", "phase", "controller")
    facts = [texts.get(name, "") for name in named[:2]] + [weight, texts.get(named[2], "")]
    trial = [line for fact in facts for line in wrap_cell(fact, LIVE[2].letters)]
    serves = wrap_cell(texts.get("serves", ""), LIVE[1].letters)
    when = wrap_cell(f"since {since}", LIVE[1].letters) if since else ()
    return [texts.get("service", ""), (*serves, *when), tuple(trial)]
