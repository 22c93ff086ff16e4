"""The evaluation gate: above a constant answer and its floors, no worse than the champion."""

from dataclasses import dataclass

from sluice.config.evaluation import Calibration, EvaluationConfig
from sluice.gates.baseline import judge_baseline
from sluice.gates.finding import (
    Finding,
    conclude,
    describe_rows_near_limit,
    format_figure,
    format_interval,
    report_missing,
)
from sluice.gates.lineage import judge_lineage, list_lineage_notices
from sluice.gates.plausibility import judge_plausibility, list_plausibility_notices
from sluice.gates.recency import (
    advise_more_recent,
    find_recency_gap,
    list_older,
    list_recency_notices,
)
from sluice.metrics import METRICS
from sluice.stats.bootstrap import Estimate, count_needed_rows, negate
from sluice.stats.comparison import EvaluationEvidence, MetricFigure, measure_evaluation
from sluice.stats.holdout import Holdout
from sluice.stats.slicing import SliceFigure
from sluice.verdict import Check, Outcome, Verdict

__all__ = ["EvaluationEvidence", "EvaluationGate", "Holdout", "measure_evaluation"]

MINIMUM_ROWS = 100
"""Fewest held-out rows whose bootstrap bounds are reliable."""
MINIMUM_GROUPS = 30
"""Fewest groups whose bootstrap bounds are reliable, where groups are drawn whole."""
_LISTED_SLICES = 20
_GATE = "evaluation"
_ADVICE_RECALIBRATE = "recalibrate (model.calibration: sigmoid or isotonic) and train again"
_ADVICE_MORE_ROWS = "hold out more rows: add data, or raise split.holdout"
_ADVICE_REPAIR = (
    "check that the held-out rows and both models' predictions are complete, then release again"
)
_ADVICE_KEEP = (
    "keep the champion; look in the slices and plots for what got worse, then train again"
)


@dataclass(frozen=True)
class EvaluationGate:
    """Compares a candidate with the champion, a constant answer, floors, slices and calibration."""

    limits: EvaluationConfig

    def judge(self, evidence: EvaluationEvidence) -> Verdict:
        """Return the verdict; a figure that could not be measured never passes."""
        gaps = [*evidence.missing, *find_recency_gap(self.limits, evidence)]
        advice = advise_more_recent(evidence) or _ADVICE_REPAIR
        missing = [report_missing("evidence", text, advice) for text in gaps]
        if missing:
            return conclude(_GATE, missing, "")
        findings = [
            *self._judge_size(evidence),
            *self._judge_primary(evidence),
            *judge_lineage(self.limits, evidence),
            judge_baseline(self.limits, evidence),
            *self._judge_floors(evidence),
            *judge_calibration(self.limits.calibration, evidence.gap, evidence.slope),
            *self._judge_slices(evidence),
            *judge_plausibility(self.limits, evidence),
            *self._list_others(evidence),
            *list_older(self.limits, evidence),
        ]
        notices = [
            *_list_notices(evidence),
            *list_recency_notices(evidence),
            *list_lineage_notices(self.limits, evidence),
            *list_plausibility_notices(self.limits, evidence),
        ]
        return conclude(_GATE, findings, _describe_primary(evidence, self.limits), notices)

    def _judge_size(self, evidence: EvaluationEvidence) -> list[Finding]:
        grouped = bool(self.limits.group)
        least, noun = (MINIMUM_GROUPS, "groups") if grouped else (MINIMUM_ROWS, "rows")
        if evidence.units >= least:
            return []
        name = f"held-out {noun}"
        sentence = f"{evidence.units:,} {name}, {least:,} needed"
        check = Check(
            name,
            Outcome.INSUFFICIENT,
            measured=evidence.units,
            limit=least,
            relation=">=",
            n=evidence.n,
            note="bootstrap bounds of fewer are not reliable",
        )
        advice = advise_more_recent(evidence) or f"hold out at least {least:,} {noun}: add data"
        return [Finding(check, sentence, advice)]

    def _judge_primary(self, evidence: EvaluationEvidence) -> list[Finding]:
        figure = evidence.find_metric(self.limits.primary)
        name = f"{self.limits.primary} against champion"
        if figure is None or figure.candidate.interval is None:
            return [_report_unmeasured(name, self.limits.primary, evidence.n)]
        if not evidence.has_champion:
            return [_list_metric(figure, "no champion to compare with")]
        if figure.difference is None or figure.difference.interval is None:
            return [_report_unmeasured(name, self.limits.primary, evidence.n)]
        difference = figure.difference
        outcome = _classify_above(difference, -self.limits.margin)
        needed = ""
        if outcome is Outcome.INSUFFICIENT:
            needed = self._describe_needed_rows(evidence, difference)
        change = figure.change or difference
        check = Check(
            name,
            outcome,
            measured=change.value,
            interval=change.interval,
            limit=_sign_margin(figure, self.limits.margin),
            relation=">" if figure.greater_is_better else "<",
            n=difference.n,
            note=needed or _describe_values(figure),
        )
        sentence = _describe_primary(evidence, self.limits)
        return [Finding(check, sentence, needed or _ADVICE_KEEP)]

    def _describe_needed_rows(self, evidence: EvaluationEvidence, difference: Estimate) -> str:
        spread = difference.spread or 0.0
        needed = count_needed_rows(spread, self.limits.margin)
        if needed > difference.n:
            way = advise_more_recent(evidence) or "add data, or raise split.holdout"
            return f"hold out about {needed:,} rows (now {difference.n:,}): {way}"
        return describe_rows_near_limit(
            spread, (difference.value or 0.0) + self.limits.margin, difference.n
        )

    def _judge_floors(self, evidence: EvaluationEvidence) -> list[Finding]:
        findings = []
        for name, limit in self.limits.floors.items():
            figure = evidence.find_metric(name)
            if figure is None or figure.candidate.interval is None:
                findings.append(_report_unmeasured(f"{name} floor", name, evidence.n))
            else:
                findings.append(_judge_floor(figure, limit))
        return sorted(findings, key=lambda finding: finding.outcome is not Outcome.FAIL)

    def _judge_slices(self, evidence: EvaluationEvidence) -> list[Finding]:
        primary = evidence.find_metric(self.limits.primary)
        seen = {figure.column for figure in evidence.slices}
        unseen = [column for column in self.limits.slices.columns if column not in seen]
        unseen = unseen if evidence.has_champion else []
        missing = [
            report_missing(
                f"slices of {column}", f"slices of {column} were not measured", _ADVICE_REPAIR
            )
            for column in unseen
        ]
        judged = [
            _judge_slice(figure, primary, self.limits.slices.margin)
            for figure in evidence.slices
            if figure.difference and primary
        ]
        listed = [figure for figure in evidence.slices if not figure.difference]
        shown = [_list_slice(f, self.limits.slices.minimum) for f in listed[:_LISTED_SLICES]]
        if more := listed[_LISTED_SLICES:]:
            note = f"{len(more):,} more slices are too small to judge"
            rows = sum(figure.n for figure in more)
            shown.append(Finding(Check("small slices", Outcome.LISTED, n=rows, note=note), note))
        return [*missing, *judged, *shown]

    def _list_others(self, evidence: EvaluationEvidence) -> list[Finding]:
        decided = {self.limits.primary, *self.limits.floors}
        return [_list_metric(figure) for figure in evidence.metrics if figure.name not in decided]


def _classify_above(estimate: Estimate, limit: float) -> Outcome:
    """Return pass for an interval above a lower limit, fail below, insufficient across it."""
    if estimate.low is None or estimate.high is None:
        return Outcome.INSUFFICIENT
    if estimate.low > limit:
        return Outcome.PASS
    return Outcome.FAIL if estimate.high < limit else Outcome.INSUFFICIENT


def _judge_floor(figure: MetricFigure, limit: float) -> Finding:
    candidate = figure.candidate
    sign = 1.0 if figure.greater_is_better else -1.0
    ends = sorted(sign * (end or 0.0) for end in (candidate.low, candidate.high))
    kind, relation = ("floor", ">=") if sign > 0 else ("ceiling", "<=")
    if ends[0] >= sign * limit:
        outcome = Outcome.PASS
    else:
        outcome = Outcome.FAIL if ends[1] < sign * limit else Outcome.INSUFFICIENT
    sentence = (
        f"{figure.name} {format_figure(candidate.value)} {format_interval(candidate)}, "
        f"{kind} {format_figure(limit)}, n {candidate.n:,}"
    )
    advice = f"train a model whose {figure.name} reaches {format_figure(limit)}"
    if outcome is Outcome.INSUFFICIENT:
        distance = sign * ((candidate.value or 0.0) - limit)
        advice = describe_rows_near_limit(candidate.spread or 0.0, distance, candidate.n)
    check = Check(
        f"{figure.name} {kind}",
        outcome,
        measured=candidate.value,
        interval=candidate.interval,
        limit=limit,
        relation=relation,
        n=candidate.n,
        note=advice if outcome is Outcome.INSUFFICIENT else "",
    )
    return Finding(check, sentence, advice)


def _sign_margin(figure: MetricFigure, margin: float) -> float:
    """Return the largest allowed loss as a change of the metric: an error may rise, not fall."""
    return -margin if figure.greater_is_better else margin


def _judge_slice(figure: SliceFigure, primary: MetricFigure, margin: float) -> Finding:
    difference = figure.difference or Estimate(None, None, None, figure.n)
    fell = difference.high is not None and difference.high < -margin
    greater, limit = primary.greater_is_better, _sign_margin(primary, margin)
    change = difference if greater else negate(difference) or difference
    values = f"{format_figure(figure.candidate)} against champion {format_figure(figure.champion)}"
    check = Check(
        f"{primary.name} in {figure.name}",
        Outcome.FAIL if fell else Outcome.PASS,
        measured=change.value,
        interval=change.interval,
        limit=limit,
        relation=">=" if greater else "<=",
        n=figure.n,
        note=f"{values}; bounds at level {1 - (figure.level or 0.0):.4f} (Holm)",
    )
    sentence = (
        f"{primary.name} in {figure.name} {values}, difference {format_interval(change)}, "
        f"limit {format_figure(limit)}, n {figure.n:,}"
    )
    advice = f"keep the champion; find out why {figure.name} got worse in training"
    return Finding(check, sentence, advice)


def judge_calibration(
    limits: Calibration | None, gap: Estimate | None, slope: Estimate | None
) -> list[Finding]:
    """Judge the calibration gap and the calibration slope; without limits both are listed."""
    if limits is None:
        named = (("calibration gap", gap), ("calibration slope", slope))
        return [_list_figure(name, figure) for name, figure in named if figure]
    return [
        _judge_range("calibration gap", gap, (-limits.gap, limits.gap)),
        _judge_range("calibration slope", slope, limits.slope),
    ]


def classify_within(estimate: Estimate, bounds: tuple[float, float]) -> Outcome:
    """Return pass for an interval inside a range, fail outside, insufficient across an end."""
    if estimate.low is None or estimate.high is None:
        return Outcome.INSUFFICIENT
    if estimate.high < bounds[0] or estimate.low > bounds[1]:
        return Outcome.FAIL
    inside = bounds[0] <= estimate.low and estimate.high <= bounds[1]
    return Outcome.PASS if inside else Outcome.INSUFFICIENT


def _judge_range(name: str, figure: Estimate | None, bounds: tuple[float, float]) -> Finding:
    if figure is None or figure.value is None or figure.interval is None:
        return report_missing(name, f"{name} cannot be measured", _ADVICE_MORE_ROWS)
    outcome = classify_within(figure, bounds)
    allowed = f"[{format_figure(bounds[0])}, {format_figure(bounds[1])}]"
    below = figure.value < (bounds[0] + bounds[1]) / 2
    check = Check(
        name,
        outcome,
        measured=figure.value,
        interval=figure.interval,
        limit=bounds[0] if below else bounds[1],
        relation=">=" if below else "<=",
        n=figure.n,
        note=f"allowed {allowed}",
    )
    sentence = (
        f"{name} {format_figure(figure.value)} {format_interval(figure)}, "
        f"allowed {allowed}, n {figure.n:,}"
    )
    return Finding(
        check,
        sentence,
        _ADVICE_MORE_ROWS if outcome is Outcome.INSUFFICIENT else _ADVICE_RECALIBRATE,
    )


def _list_figure(name: str, figure: Estimate) -> Finding:
    note = "shown, no limit"
    check = Check(
        name,
        Outcome.LISTED,
        measured=figure.value,
        interval=figure.interval,
        n=figure.n,
        note=note,
    )
    return Finding(check, note)


def _list_slice(figure: SliceFigure, minimum: int) -> Finding:
    small = figure.n < minimum
    note = f"not judged: fewer than {minimum:,} rows" if small else "not judged: not measurable"
    return Finding(Check(figure.name, Outcome.LISTED, n=figure.n, note=note), note)


def _list_metric(figure: MetricFigure, note: str = "shown, no limit") -> Finding:
    candidate = figure.candidate
    if candidate.value is None:
        note = _explain_unmeasured(figure.name, candidate.n)
    elif figure.champion:
        note += f"; champion {format_figure(figure.champion.value)}"
    check = Check(
        figure.name,
        Outcome.LISTED,
        measured=candidate.value,
        interval=candidate.interval,
        n=candidate.n,
        note=note,
    )
    return Finding(check, note)


def _report_unmeasured(name: str, metric: str, n: int) -> Finding:
    known = METRICS.get(metric)
    advice = known.advice if known else "hold out rows of every class"
    return report_missing(name, _explain_unmeasured(metric, n), advice)


def _explain_unmeasured(metric: str, n: int) -> str:
    """Say that a metric has no figure, and why where the metric knows it."""
    known = METRICS.get(metric)
    reason = f": {known.undefined}" if known and known.undefined else ""
    return f"{metric} cannot be measured on {n:,} held-out rows{reason}"


def _describe_values(figure: MetricFigure) -> str:
    champion = figure.champion.value if figure.champion else None
    return f"{format_figure(figure.candidate.value)} against champion {format_figure(champion)}"


def _describe_primary(evidence: EvaluationEvidence, limits: EvaluationConfig) -> str:
    figure = evidence.find_metric(limits.primary)
    if figure is None:
        return f"{limits.primary} was not measured"
    if figure.change is None:
        value = f"{format_figure(figure.candidate.value)} {format_interval(figure.candidate)}"
        return f"{limits.primary} {value}, no champion yet, n {evidence.n:,}"
    return (
        f"{limits.primary} {_describe_values(figure)}, "
        f"difference {format_interval(figure.change)}, "
        f"limit {format_figure(_sign_margin(figure, limits.margin))}, n {evidence.n:,}"
    )


def _list_notices(evidence: EvaluationEvidence) -> list[str]:
    if evidence.has_champion or evidence.lineage.champion is not None:
        return []
    return [
        "no champion yet: the candidate was compared with a constant answer, its floors and the "
        "limits on calibration only"
    ]
