"""The parity gate: the ONNX export must predict as the native model that was evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sluice.config.serving import Serving
from sluice.gates.finding import Finding, conclude, format_figure, report_missing
from sluice.stats.parity import ParityEvidence, measure_parity
from sluice.verdict import Check, Outcome, Verdict, decide_outcome

__all__ = ["ParityEvidence", "ParityGate", "choose_backend", "measure_parity"]

_GATE = "parity"
_ADVICE_REPAIR = (
    "report it with the model's kind, and set serving: sklearn (or auto) to release meanwhile"
)
_ADVICE_CONVERT = "set serving: sklearn (or auto), or another model.kind"


@dataclass(frozen=True)
class ParityGate:
    """Compares the predictions of the ONNX export and of the native model, row by row."""

    serving: Serving

    def judge(self, evidence: ParityEvidence) -> Verdict:
        """Return the verdict: one row beyond its limit, or one label that flips, is too many.

        With `auto` the native model serves where the export differs or could not be built.
        """
        if self.serving == "sklearn":
            text = "the native model serves, as configured"
            return conclude(
                _GATE, [Finding(Check("ONNX export", Outcome.LISTED, note=text), text)], text
            )
        findings = _judge_evidence(evidence)
        if decide_outcome(tuple(finding.check for finding in findings)) is Outcome.PASS:
            return conclude(_GATE, findings, _describe_pass(evidence))
        if self.serving == "onnx":
            return conclude(_GATE, findings, "")
        return _fall_back(findings)


def choose_backend(verdict: Verdict) -> Literal["onnx", "sklearn"]:
    """Return the backend that serves after a parity verdict: ONNX only if every check passed."""
    proved = all(check.outcome is Outcome.PASS for check in verdict.checks)
    return "onnx" if proved else "sklearn"


def _judge_evidence(evidence: ParityEvidence) -> list[Finding]:
    if evidence.missing or not evidence.n:
        text = evidence.missing or "there is no held-out row to compare on"
        return [report_missing("ONNX export", text, _ADVICE_CONVERT)]
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
        unit=evidence.unit,
        n=n,
        note=f"beyond its own limit in {evidence.beyond:,} rows",
    )
    flipped = f"{evidence.flips:,} labels of the ONNX export flip, limit 0, n {n:,}"
    differs = (
        f"ONNX export differs by {_name_difference(evidence)} from the native model, "
        f"limit {format_figure(limit)}, in {evidence.beyond:,} of n {n:,}"
    )
    return [Finding(flips, flipped, _ADVICE_REPAIR), Finding(largest, differs, _ADVICE_REPAIR)]


def _fall_back(findings: Sequence[Finding]) -> Verdict:
    """Return a verdict that passes with the native model; failed checks are listed."""
    stopped = [item for item in findings if item.outcome is not Outcome.PASS]
    listed = [
        Finding(replace(item.check, outcome=Outcome.LISTED, note=item.sentence), item.sentence)
        if item in stopped
        else item
        for item in findings
    ]
    reason = "; ".join(item.sentence for item in stopped)
    notice = f"RED LINE: the slower native model serves, not ONNX: {reason}"
    return conclude(_GATE, listed, f"the native model serves: {reason}", [notice])


def _name_difference(evidence: ParityEvidence) -> str:
    unit = f" {evidence.unit}" if evidence.unit else ""
    return f"{format_figure(evidence.difference)}{unit}"


def _describe_pass(evidence: ParityEvidence) -> str:
    return (
        f"ONNX export differs by at most {_name_difference(evidence)}, limit "
        f"{format_figure(evidence.allowed)}, no label flips, n {evidence.n:,}"
    )
