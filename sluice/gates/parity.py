"""The parity gate: what serves must answer as what was trained and judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sluice.config.serving import Serving
from sluice.gates.finding import Finding, conclude, format_figure, report_missing
from sluice.stats.parity import ParityEvidence, measure_parity
from sluice.verdict import Check, Outcome, Verdict, decide_outcome

__all__ = ["ParityEvidence", "ParityGate", "choose_form", "measure_parity"]

_GATE = "parity"
_REPAIR = "report it with the model's kind, and set serving: sklearn (or auto) to release meanwhile"
_CONVERT = "set serving: sklearn (or auto), or another model.kind"


@dataclass(frozen=True)
class ParityGate:
    """Holds the served form's answers beside the trained form's, row by row."""

    serving: Serving

    def judge(self, evidence: ParityEvidence) -> Verdict:
        """Judge the evidence: one row beyond its limit, or one label that flips, is too many.

        With `auto` the trained form serves in place of one that differs or could not be made.
        """
        if self.serving == "sklearn":
            text = "the trained form serves, as configured"
            return conclude(
                _GATE, [Finding(Check("served form", Outcome.LISTED, note=text), text)], text
            )
        findings = _find(evidence)
        if decide_outcome(tuple(finding.check for finding in findings)) is Outcome.PASS:
            return conclude(_GATE, findings, _say_passed(evidence))
        if self.serving == "onnx":
            return conclude(_GATE, findings, "")
        return _fall_back(findings)


def choose_form(verdict: Verdict) -> Literal["onnx", "sklearn"]:
    """Give the form that serves after a parity verdict: ONNX only where every check was proved."""
    proved = all(check.outcome is Outcome.PASS for check in verdict.checks)
    return "onnx" if proved else "sklearn"


def _find(evidence: ParityEvidence) -> list[Finding]:
    if evidence.missing or not evidence.n:
        text = evidence.missing or "there is no held-out row to compare on"
        return [report_missing("served form", text, _CONVERT)]
    n, measured, limit = evidence.n, evidence.difference, evidence.allowed
    flips = Check(
        "labels that flip",
        Outcome.FAIL if evidence.flips else Outcome.PASS,
        measured=float(evidence.flips),
        limit=0.0,
        relation="<=",
        unit="rows",
        n=n,
    )
    largest = Check(
        "largest difference",
        Outcome.FAIL if evidence.beyond else Outcome.PASS,
        measured=measured,
        limit=limit,
        relation="<=",
        unit="rows",
        n=n,
        note=f"beyond its own limit in {evidence.beyond:,} rows",
    )
    flipped = f"{evidence.flips:,} labels of the served form flip, limit 0, n {n:,}"
    differs = (
        f"served form differs by {format_figure(measured)} from the trained form, "
        f"limit {format_figure(limit)}, in {evidence.beyond:,} of n {n:,}"
    )
    return [Finding(flips, flipped, _REPAIR), Finding(largest, differs, _REPAIR)]


def _fall_back(findings: Sequence[Finding]) -> Verdict:
    """Say aloud that the trained form serves, and why; what stopped the other is listed."""
    stopped = [item for item in findings if item.outcome is not Outcome.PASS]
    listed = [
        Finding(replace(item.check, outcome=Outcome.LISTED, note=item.sentence), item.sentence)
        if item in stopped
        else item
        for item in findings
    ]
    why = "; ".join(item.sentence for item in stopped)
    notice = f"RED LINE: the slower trained form serves, not ONNX: {why}"
    return conclude(_GATE, listed, f"the trained form serves: {why}", [notice])


def _say_passed(evidence: ParityEvidence) -> str:
    return (
        f"served form differs by at most {format_figure(evidence.difference)}, limit "
        f"{format_figure(evidence.allowed)}, no label flips, n {evidence.n:,}"
    )
