"""A service's releases over time: what each gate said, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sluice.control.approval import ANSWER, ApprovalAnswer, write_moment
from sluice.report.card import write_table

GATES = ("data", "evaluation", "bias", "parity")
VERDICT, REASON = "sluice.verdict.", "sluice.reason."
OUTCOME, STOPPED, VERSION = "sluice.outcome", "sluice.stopped", "sluice.version"
REGISTERED, HALTED, FAILED = "registered", "halted", "failed"
PRIMARY = "sluice.primary"
FIGURES = ("value", "low", "high", "limit")
LONGEST = 400
"""Most letters of a reason that a row shows."""
HEADS = ("when", "version", "look at", "data version", "cause", "code", *GATES, "what decided")


@dataclass(frozen=True)
class PastRelease:
    """One release as the registry's run tells it.

    `tags` and `figures` are the run's own; `aliases` those that its version carries now; `links`
    are addresses by their words.
    """

    started: datetime
    status: str
    tags: Mapping[str, str]
    figures: Mapping[str, float]
    aliases: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """How it ended: registered, halted, failed, running, or `cut off` by a kill."""
        known = self.tags.get(OUTCOME)
        return known or ("running" if self.status == "RUNNING" else "cut off")

    @property
    def primary(self) -> tuple[float, float, float] | None:
        """The primary metric with its bounds; None where the release did not come so far."""
        found = [self.figures.get(f"primary/{name}") for name in FIGURES[:3]]
        value, low, high = found
        return None if value is None or low is None or high is None else (value, low, high)

    @property
    def limit(self) -> float | None:
        """The primary metric's floor or ceiling, None where it has none."""
        return self.figures.get("primary/limit")

    @property
    def label(self) -> str:
        """Its data version, as a picture names it."""
        return f"v{self.tags.get('sluice.data.version', '?')}"


def list_rows(releases: Sequence[PastRelease]) -> list[dict[str, str]]:
    """Give one row a release, in the order given; every value is text without Markdown."""
    return [_describe(item) for item in releases]


def write_history(service: str, releases: Sequence[PastRelease], picture: str = "") -> str:
    """Write a service's releases as Markdown, newest first; `picture` is a PNG as base64."""
    counts = {name: 0 for name in (REGISTERED, HALTED, FAILED)}
    for item in releases:
        counts[item.outcome] = counts.get(item.outcome, 0) + 1
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    rows = [_mark(item, row) for item, row in zip(releases, list_rows(releases), strict=True)]
    parts = [f"# Releases of {service}", f"The newest {len(releases)}: {told}."]
    if picture:
        parts.append(f"![primary metric over releases](data:image/png;base64,{picture})")
    parts.append(write_table(HEADS, rows))
    return "\n\n".join(parts) + "\n"


def _mark(item: PastRelease, row: Mapping[str, str]) -> list[str]:
    """Give a row's cells as Markdown: links, and bold what stopped the release."""
    links = " ".join(f"[{word}]({url})" for word, url in item.links.items() if url)
    bold = {gate for gate in GATES if row[gate] not in ("pass", "")}
    bold |= {"what decided"} if item.outcome in (HALTED, FAILED) else set()
    cells = {**row, "look at": links}
    return [f"**{cells[head]}**" if head in bold else cells[head] for head in HEADS]


def _describe(item: PastRelease) -> dict[str, str]:
    tags = item.tags
    dirty = "+" if tags.get("sluice.code.dirty") == "true" else ""
    return {
        "when": write_moment(item.started).removesuffix(" UTC"),
        "data version": item.label,
        "cause": tags.get("sluice.cause", ""),
        "code": tags.get("sluice.code.commit", "")[:7] + dirty,
        **{gate: tags.get(VERDICT + gate, "") for gate in GATES},
        "what decided": _say_decided(item),
        "version": _say_version(item),
    }


def _say_decided(item: PastRelease) -> str:
    """Give what stopped it, else the evaluation's own reason."""
    told = item.tags.get(STOPPED) or item.tags.get(f"{REASON}evaluation", "")
    told = told or ("" if item.outcome == "running" else item.outcome)
    return told if len(told) <= LONGEST else f"{told[:LONGEST]} ..."


def _say_version(item: PastRelease) -> str:
    if VERSION not in item.tags:
        return item.outcome
    words = [f"v{item.tags[VERSION]}", *item.aliases]
    answer = item.tags.get(ANSWER, "")
    words += [f"({_say_answer(answer)})"] if answer else []
    return " ".join(words)


def _say_answer(answer: str) -> str:
    return "waits for approval" if answer == ApprovalAnswer.PENDING else answer
