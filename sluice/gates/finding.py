"""A check with its sentence and advice, and the verdict that a list of them makes."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.stats.bootstrap import Estimate, count_needed_rows
from sluice.verdict import Check, Outcome, Verdict, decide_outcome


@dataclass(frozen=True)
class Finding:
    """One check, the sentence with its numbers, and the advice if it stops the release."""

    check: Check
    sentence: str
    advice: str = ""

    @property
    def outcome(self) -> Outcome:
        """The check's outcome."""
        return self.check.outcome


def format_figure(value: float | None) -> str:
    """Return a number as text: `.812`, `-.010`, `1.250`, `12,345`; `unknown` for None."""
    if value is None:
        return "unknown"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.9995:
        return f"{value:.3f}"
    if 0.0 < size < 0.0005:
        return f"{value:.1g}".replace("0.", ".", 1)
    return f"{value + 0.0:.3f}".replace("0.", ".", 1)


def format_interval(estimate: Estimate) -> str:
    """Return bounds as text: `[-.031, -.014]`; `unknown` where they could not be measured."""
    if estimate.interval is None:
        return "unknown"
    return f"[{format_figure(estimate.low)}, {format_figure(estimate.high)}]"


def describe_rows_near_limit(spread: float, distance: float, n: int) -> str:
    """Return how many rows would decide a figure near its limit, if it stays where it is.

    `distance` is from the limit to the figure, above 0 on the allowed side; on the other side no
    number of rows makes the figure pass.
    """
    if distance <= -1e-9:
        return (
            f"the figure is on the wrong side of its limit: no number of rows (now {n:,}) proves "
            "it; train a better model"
        )
    if distance < 1e-9 or (needed := count_needed_rows(spread, distance)) > 10_000_000:
        return (
            f"the figure lies on its limit: more rows (now {n:,}) hardly help; train a better model"
        )
    return f"hold out about {needed:,} rows (now {n:,}), or train a better model"


def report_missing(name: str, sentence: str, advice: str) -> Finding:
    """Return the finding of missing evidence: its outcome is insufficient."""
    return Finding(Check(name, Outcome.INSUFFICIENT, note=sentence), sentence, advice)


def conclude(
    gate: str, findings: Sequence[Finding], passing: str, notices: Sequence[str] = ()
) -> Verdict:
    """Return the verdict: its reason is the first deciding finding, and the others are counted.

    Findings come in order of importance. `passing` is the reason of a verdict that passes.
    """
    checks = tuple(finding.check for finding in findings)
    outcome = decide_outcome(checks)
    if outcome is Outcome.PASS:
        return Verdict(gate, outcome, checks, passing, "", tuple(notices))
    deciding = [finding for finding in findings if finding.outcome is outcome]
    reason = deciding[0].sentence + _count_others(len(deciding) - 1, outcome)
    return Verdict(gate, outcome, checks, reason, deciding[0].advice, tuple(notices))


def _count_others(others: int, outcome: Outcome) -> str:
    if not others:
        return ""
    result = "failed" if outcome is Outcome.FAIL else "could not be decided"
    return f"; {others} more {'check' if others == 1 else 'checks'} {result}"
