"""A service's releases over time: the verdict of each gate, and the outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sluice.control.admission import GATES, VERDICT
from sluice.control.approval import ANSWER, ApprovalAnswer, write_moment
from sluice.report.markdown import Cell, Column, wrap_cell, write_fitted
from sluice.report.next_steps import DEAD_LINK

REASON = "sluice.reason."
OUTCOME, STOPPED, VERSION = "sluice.outcome", "sluice.stopped", "sluice.version"
REGISTERED, HALTED, FAILED = "registered", "halted", "failed"
PRIMARY = "sluice.primary"
PRIMARY_FIGURES = ("value", "low", "high", "limit")
ADVICE = "; next: "
"""What comes before the next step in a message; pages of many rows leave the rest to the run."""
MAX_REASON = 400
"""Most characters of a reason that a row shows."""
COLUMNS = (Column("release", 20), Column("from", 16), Column("gates", 24), Column("reason", 27))


@dataclass(frozen=True)
class PastRelease:
    """One release, as its run in the registry records it.

    `tags` and `figures` are the run's; `aliases` are its version's aliases now; `links` are
    addresses by their label.
    """

    started: datetime
    status: str
    tags: Mapping[str, str]
    figures: Mapping[str, float]
    aliases: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """Its outcome: registered, halted, failed, running, or `interrupted` by a kill."""
        known = self.tags.get(OUTCOME)
        return known or ("running" if self.status == "RUNNING" else "interrupted")

    @property
    def primary(self) -> tuple[float, float, float] | None:
        """The primary metric with its bounds; None for a release that ended before it."""
        found = [self.figures.get(f"primary/{name}") for name in PRIMARY_FIGURES[:3]]
        value, low, high = found
        return None if value is None or low is None or high is None else (value, low, high)

    @property
    def limit(self) -> float | None:
        """The primary metric's floor or ceiling, None where it has none."""
        return self.figures.get("primary/limit")

    @property
    def label(self) -> str:
        """Its data version, as a plot labels it."""
        return f"v{self.tags.get('sluice.data.version', '?')}"


def list_rows(releases: Sequence[PastRelease]) -> list[dict[str, str]]:
    """Return one row per release, in the order given; every value is text without Markdown."""
    return [_describe(item) for item in releases]


def write_history(service: str, releases: Sequence[PastRelease], picture: str = "") -> str:
    """Write a service's releases as Markdown, newest first; `picture` is a PNG as base64."""
    counts = {name: 0 for name in (REGISTERED, HALTED, FAILED)}
    for item in releases:
        counts[item.outcome] = counts.get(item.outcome, 0) + 1
    outcomes = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    rows = [
        _format_cells(item, row) for item, row in zip(releases, list_rows(releases), strict=True)
    ]
    parts = [f"# Releases of {service}", f"The newest {len(releases)}: {outcomes}."]
    if picture:
        parts.append(f"![primary metric over releases](data:image/png;base64,{picture})")
    parts.append(write_fitted(COLUMNS, rows))
    if any(url for item in releases for url in item.links.values()):
        parts.append(DEAD_LINK)
    return "\n\n".join(parts) + "\n"


def _format_cells(item: PastRelease, row: Mapping[str, str]) -> list[Cell]:
    """Return a row's cells as Markdown, with links; what stopped the release is bold."""
    version, origin, _, reason = (column.letters for column in COLUMNS)
    links = ", ".join(f"[{label}]({url})" for label, url in item.links.items() if url)
    release = [*_bold(wrap_cell(row["version"], version)), row["when"], *([links] if links else [])]
    code = [f"code {row['code']}"] if row["code"] else []
    source = [f"data {row['data version']}", *wrap_cell(row["cause"], origin), *code]
    gates = [
        f"{gate}: pass" if row[gate] == "pass" else f"**{gate}: {row[gate]}**"
        for gate in GATES
        if row[gate]
    ]
    why = wrap_cell(row["reason"].partition(ADVICE)[0], reason)
    stopped = item.outcome in (HALTED, FAILED)
    return [tuple(release), tuple(source), tuple(gates), _bold(why) if stopped else why]


def _bold(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"**{line}**" for line in lines)


def _describe(item: PastRelease) -> dict[str, str]:
    tags = item.tags
    dirty = "+" if tags.get("sluice.code.dirty") == "true" else ""
    return {
        "when": write_moment(item.started).removesuffix(" UTC"),
        "data version": item.label,
        "cause": tags.get("sluice.cause", ""),
        "code": tags.get("sluice.code.commit", "")[:7] + dirty,
        **{gate: tags.get(VERDICT + gate, "") for gate in GATES},
        "reason": _describe_reason(item),
        "version": _describe_version(item),
    }


def _describe_reason(item: PastRelease) -> str:
    """Return what stopped the release, else the evaluation gate's reason, else the outcome."""
    reason = item.tags.get(STOPPED) or item.tags.get(f"{REASON}evaluation", "")
    reason = reason or ("" if item.outcome == "running" else item.outcome)
    return reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]} ..."


def _describe_version(item: PastRelease) -> str:
    if VERSION not in item.tags:
        return item.outcome
    parts = [f"v{item.tags[VERSION]}", *item.aliases]
    answer = item.tags.get(ANSWER, "")
    parts += [f"({_describe_answer(answer)})"] if answer else []
    return " ".join(parts)


def _describe_answer(answer: str) -> str:
    return "waits for approval" if answer == ApprovalAnswer.PENDING else answer
