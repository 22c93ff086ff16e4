"""Whether a figure has dropped since the release: by how much, and whether that is proved."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from sluice.drift.performance.estimation import EstimatedFigure
from sluice.drift.performance.figures import PerformanceFigure
from sluice.gates.finding import format_figure
from sluice.metrics import METRICS


@dataclass(frozen=True)
class PerformanceDrop:
    """A figure beside the release's: positive drops are worse, in shares of the release's figure.

    `bound` is the lower one-sided bound of the relative drop. `dropped` is None where it is not
    judged; `note` says why.
    """

    name: str
    baseline: float | None
    value: float | None
    n: int
    drop: float | None = None
    bound: float | None = None
    dropped: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class LossRise:
    """The one-sided two-sample z-test that the mean loss is above the release's."""

    name: str
    baseline: float | None
    value: float | None
    n: int
    z: float | None = None
    p: float | None = None
    risen: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class _Side:
    value: float | None
    error: float | None
    note: str


def describe_change(name: str, baseline: float | None, value: float | None, n: int) -> str:
    """Return a figure in words, with how far it is from the release's, as a share of that.

    Such as `auc .772, 7.8 % below the release's .837 (500 answers)`.
    """
    now, before = format_figure(value), format_figure(baseline)
    if value is None or not baseline:
        return f"{name} {now}, {before} at the release ({n:,} answers)"
    change = (value - baseline) / abs(baseline)
    far = (
        f"{100 * abs(change):.3g} % {'below' if change < 0 else 'above'}" if change else "equal to"
    )
    return f"{name} {now}, {far} the release's {before} ({n:,} answers)"


def compare_figures(
    baseline: PerformanceFigure | None, figure: PerformanceFigure, drop: float, alpha: float
) -> PerformanceDrop:
    """Return how far a measured figure has dropped, and whether it is more than `drop`.

    Dropped: the relative drop is more than `drop` (.05: 5 %), and its lower one-sided bound at
    1 - `alpha` is above 0. The standard error is at least the one that as many of the release's
    rows have: few rows of a class can look alike by chance, and then seem to prove anything.
    """
    before = _Side(None, None, "the release did not measure it")
    if baseline is not None:
        before = _Side(baseline.value, baseline.error, baseline.note)
    before_n = 0 if baseline is None else baseline.n
    error = _bound_error(figure.error, figure.n, before.error, before_n)
    after = _Side(figure.value, error, figure.note)
    return _compare(figure.name, before, after, figure.n, drop, alpha)


def _bound_error(error: float | None, n: int, before: float | None, before_n: int) -> float | None:
    """Return a standard error, at least the one that n of the release's rows have."""
    if error is None or before is None or not n:
        return error
    return max(error, before * math.sqrt(before_n / n))


def compare_estimates(
    baseline: EstimatedFigure | None, figure: EstimatedFigure, drop: float, alpha: float
) -> PerformanceDrop:
    """Return how far an estimated figure has dropped from the estimate of the held-out rows.

    Both come from the same curves or trees, so that their errors do not count twice. The standard
    error is at least the one that as many of the release's rows have.
    """
    before = _Side(None, None, "the release did not estimate it")
    if baseline is not None:
        before = _Side(baseline.value, baseline.sampling, baseline.note)
    before_n = 0 if baseline is None else baseline.n
    error = _bound_error(figure.sampling, figure.n, before.error, before_n)
    after = _Side(figure.value, error, figure.note)
    return _compare(figure.name, before, after, figure.n, drop, alpha)


def _compare(
    name: str, before: _Side, after: _Side, n: int, drop: float, alpha: float
) -> PerformanceDrop:
    note = _find_gap(before, after)
    if not note and before.value is not None and before.value <= 0.0:
        note = f"the release's figure is {before.value:.4g}: no share of it can be lost"
    if note or before.value is None or after.value is None:
        return PerformanceDrop(name, before.value, after.value, n, note=note)
    lost = METRICS[name].sign * (before.value - after.value)
    error = math.hypot(before.error or 0.0, after.error or 0.0)
    reach = NormalDist().inv_cdf(1.0 - alpha) * error
    relative, bound = lost / before.value, (lost - reach) / before.value
    dropped = relative > drop and bound > 0.0
    return PerformanceDrop(name, before.value, after.value, n, relative, bound, dropped)


def _find_gap(before: _Side, after: _Side) -> str:
    """Return why two figures cannot be compared; empty where they can."""
    if before.value is None or before.error is None:
        return f"no figure of the release: {before.note or 'its error is unknown'}"
    if after.value is None or after.error is None:
        return after.note or "its error is unknown"
    return ""


def judge_loss(baseline: PerformanceFigure, figure: PerformanceFigure, alpha: float) -> LossRise:
    """Test at level `alpha` whether the mean loss is above that of the held-out rows.

    z = (mean - baseline) / root of both squared standard errors, one-sided. Where neither has an
    error, any rise counts.
    """
    before = _Side(baseline.value, baseline.error, baseline.note)
    after = _Side(figure.value, figure.error, figure.note)
    note = _find_gap(before, after)
    if note or before.value is None or after.value is None:
        return LossRise(figure.name, before.value, after.value, figure.n, note=note)
    error, rise = math.hypot(before.error or 0.0, after.error or 0.0), after.value - before.value
    if error == 0.0:
        p = 0.0 if rise > 0.0 else 1.0
        return LossRise(
            figure.name, before.value, after.value, figure.n, None, p, rise > 0.0, "no spread"
        )
    z = rise / error
    p = NormalDist().cdf(-z)
    return LossRise(figure.name, before.value, after.value, figure.n, z, p, p < alpha)
