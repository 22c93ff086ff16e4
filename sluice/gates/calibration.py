"""How the evaluation gate judges whether probabilities are frequencies."""

from sluice.config.evaluation import Calibration
from sluice.gates.finding import Finding, format_figure, format_interval, report_missing
from sluice.stats.bootstrap import Estimate
from sluice.verdict import Check, Outcome

_ADVICE = "recalibrate (model.calibration: sigmoid or isotonic) and train again"
_MORE = "hold out more rows: add data, or raise split.holdout"


def judge_calibration(
    limits: Calibration | None, gap: Estimate | None, slope: Estimate | None
) -> list[Finding]:
    """Judge calibration in the large and the calibration slope; without limits both are listed."""
    if limits is None:
        named = (("calibration gap", gap), ("calibration slope", slope))
        return [_list_figure(name, figure) for name, figure in named if figure]
    return [
        _judge_range("calibration gap", gap, (-limits.gap, limits.gap)),
        _judge_range("calibration slope", slope, limits.slope),
    ]


def place_within(estimate: Estimate, bounds: tuple[float, float]) -> Outcome:
    """Place an interval inside a range (pass), outside (fail) or across an end (insufficient)."""
    if estimate.low is None or estimate.high is None:
        return Outcome.INSUFFICIENT
    if estimate.high < bounds[0] or estimate.low > bounds[1]:
        return Outcome.FAIL
    inside = bounds[0] <= estimate.low and estimate.high <= bounds[1]
    return Outcome.PASS if inside else Outcome.INSUFFICIENT


def _judge_range(name: str, figure: Estimate | None, bounds: tuple[float, float]) -> Finding:
    if figure is None or figure.value is None or figure.interval is None:
        return report_missing(name, f"{name} cannot be measured", _MORE)
    outcome = place_within(figure, bounds)
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
    return Finding(check, sentence, _MORE if outcome is Outcome.INSUFFICIENT else _ADVICE)


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
