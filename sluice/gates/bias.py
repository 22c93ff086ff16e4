"""The bias gate: no group of people may be treated worse than the limits allow."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.config.bias import BiasConfig
from sluice.gates.finding import (
    Finding,
    conclude,
    format_figure,
    format_interval,
    report_missing,
)
from sluice.stats.bias import BiasEvidence, measure_bias
from sluice.stats.bootstrap import Estimate
from sluice.stats.fairness import FairnessFigure, FairnessKind
from sluice.stats.holdout import Holdout
from sluice.verdict import Check, Outcome, Verdict

__all__ = ["BiasEvidence", "BiasGate", "Holdout", "measure_bias"]

_GATE = "bias"
_NAMES: dict[FairnessKind, str] = {
    "true_positive_difference": "true-positive difference",
    "selection_ratio": "selection ratio",
    "false_positive_difference": "false-positive difference",
    "loss_ratio": "error ratio",
}
_UNITS: dict[FairnessKind, str] = {
    "true_positive_difference": "positives",
    "selection_ratio": "rows",
    "false_positive_difference": "negatives",
    "loss_ratio": "rows",
}
_ADVICE_REPAIR = (
    "find why the group's rows or labels differ (its data, a feature that stands for it), "
    "or set bias.mitigation: reweigh, and train again"
)
_ADVICE_MORE_ROWS = "hold out more rows of the group: add data, or raise split.holdout"
_ADVICE_COLUMN = "add the column to the data, or set `sensitive: none` with a reason"


@dataclass(frozen=True)
class BiasGate:
    """Compares the treatment of each group and of the rest with the limits."""

    limits: BiasConfig

    def judge(self, evidence: BiasEvidence) -> Verdict:
        """Return the verdict: a check fails where its interval lies wholly beyond its limit."""
        if not self.limits.columns:
            notice = f"no sensitive column: {self.limits.reason}"
            check = Check("sensitive columns", Outcome.LISTED, n=evidence.n, note=notice)
            return conclude(_GATE, [Finding(check, notice)], notice, [notice])
        unmeasured = [column for column in self.limits.columns if column not in evidence.columns]
        texts = [f"sensitive column '{column}' was not measured" for column in unmeasured]
        texts += evidence.missing
        missing = [report_missing("evidence", text, _ADVICE_COLUMN) for text in texts]
        figures = sorted(evidence.figures, key=lambda figure: figure.pair)
        good = evidence.favourable
        judged = [
            self._judge_figure(figure, good, _describe_older(evidence, figure))
            for figure in figures
            if figure.judged
        ]
        listed = [_list_figure(figure) for figure in figures if not figure.judged]
        if not judged and not missing:
            text = f"no group of the {evidence.n:,} held-out rows is large enough to judge"
            missing = [report_missing("evidence", text, "hold out more rows: add data")]
        notices = [
            *_list_assumption(evidence),
            *_list_recency(evidence),
            *_list_notices(judged, listed),
        ]
        return conclude(
            _GATE, [*missing, *judged, *listed], _describe_pass(judged, listed), notices
        )

    def _judge_figure(self, figure: FairnessFigure, favourable: object, older: str = "") -> Finding:
        low, high = self._find_range(figure.kind)
        estimate = figure.estimate
        outcome = _classify_interval(estimate, low, high)
        proved = outcome is not Outcome.INSUFFICIENT
        if not proved and self.limits.on_unproved == "list":
            outcome = Outcome.LISTED
        above = low is None or (high is not None and (estimate.value or 0.0) > 0.0)
        limit = high if above else low
        name = f"{_NAMES[figure.kind]} of {figure.group}"
        sentence = (
            f"{name} {format_figure(estimate.value)} {format_interval(estimate)}, "
            f"limit {format_figure(limit)}, n {estimate.n:,}{_describe_labels(figure)}"
        )
        check = Check(
            name,
            outcome,
            measured=estimate.value,
            interval=estimate.interval,
            limit=limit,
            relation="<=" if above else ">=",
            unit=_UNITS[figure.kind],
            n=estimate.n,
            note=("" if proved else "not proved; ") + _describe_rates(figure, favourable) + older,
        )
        return Finding(check, sentence, _ADVICE_REPAIR if proved else _ADVICE_MORE_ROWS)

    def _find_range(self, kind: FairnessKind) -> tuple[float | None, float | None]:
        """Return the lowest and the highest allowed figure; None: no limit on that side."""
        within = self.limits.false_positive_difference
        ranges: dict[FairnessKind, tuple[float | None, float | None]] = {
            "true_positive_difference": (self.limits.true_positive_difference, None),
            "selection_ratio": (self.limits.selection_ratio, None),
            "false_positive_difference": (-within, within),
            "loss_ratio": (None, self.limits.loss_ratio),
        }
        return ranges[kind]


def _classify_interval(estimate: Estimate, low: float | None, high: float | None) -> Outcome:
    """Return pass for an interval inside the range, fail wholly outside, else insufficient."""
    if estimate.low is None or estimate.high is None:
        return Outcome.INSUFFICIENT
    if (low is not None and estimate.high < low) or (high is not None and estimate.low > high):
        return Outcome.FAIL
    proved = (low is None or estimate.low >= low) and (high is None or estimate.high <= high)
    return Outcome.PASS if proved else Outcome.INSUFFICIENT


def _list_figure(figure: FairnessFigure) -> Finding:
    name = f"{_NAMES[figure.kind]} of {figure.group}"
    note = f"not judged: {figure.note}"
    estimate = figure.estimate
    unit = _UNITS[figure.kind]
    return Finding(
        Check(name, Outcome.LISTED, unit=unit, n=estimate.n, note=note), f"{name} {note}"
    )


def _describe_rates(figure: FairnessFigure, favourable: object) -> str:
    rates = f"group {format_figure(figure.group_rate)}, rest {format_figure(figure.rest_rate)}"
    named = "" if favourable is None else f", favourable {favourable!r}"
    return rates + _describe_labels(figure) + named


def _describe_labels(figure: FairnessFigure) -> str:
    return f", labels alone {format_figure(figure.label_ratio)}" if figure.label_ratio else ""


def _describe_older(evidence: BiasEvidence, figure: FairnessFigure) -> str:
    """Return the figure of the older rows, which decides nothing; empty where all rows decide."""
    if evidence.older_rows is None:
        return ""
    found = evidence.find_older(figure)
    if found is None:
        return ", older rows not judged"
    estimate = found.estimate
    shown = f"{format_figure(estimate.value)} {format_interval(estimate)}"
    return f", older rows {shown}, n {estimate.n:,}"


def _list_recency(evidence: BiasEvidence) -> list[str]:
    if evidence.older_rows is None:
        return []
    return [
        f"evaluation.recent: the newest {evidence.n:,} held-out rows decide; figures of the "
        f"{evidence.older_rows:,} older ones are in the notes"
    ]


def _is_unproved(finding: Finding) -> bool:
    return finding.check.note.startswith("not proved")


def _describe_pass(judged: Sequence[Finding], listed: Sequence[Finding]) -> str:
    unproved = sum(_is_unproved(finding) for finding in judged)
    proved = len(judged) - unproved
    text = f"no group treated beyond the limits: {proved:,} checks proved, {unproved:,} not proved"
    return f"{text}, {len(listed):,} too small to judge" if listed else text


def _list_assumption(evidence: BiasEvidence) -> list[str]:
    if not evidence.assumed:
        return []
    return [
        f"bias.favourable is not set: the positive class {evidence.favourable!r} counts as good "
        "for a person; where it is harmful, set bias.favourable to the other class"
    ]


def _list_notices(judged: Sequence[Finding], listed: Sequence[Finding]) -> list[str]:
    """Return a notice for each check that was not proved and each group too small to judge."""
    notices = [f"not proved: {finding.sentence}" for finding in judged if _is_unproved(finding)]
    return [*notices, *(finding.sentence for finding in listed)]
