"""The signals of measured performance: what windows of labelled answers hand to the rules."""

from collections.abc import Iterable
from statistics import NormalDist

from sluice.drift.performance.windows import WindowVerdict
from sluice.monitoring.signals import Signal

CONFIDENCE = 0.95
"""Of the one-sided bound of a signal."""


def list_performance_signals(
    service: str, verdicts: Iterable[WindowVerdict], alpha: float
) -> list[Signal]:
    """Return the fall of the primary metric in each window, relative to the release's figure.

    A window's own bound is that of level `alpha` (.001: 99.9 %); a signal's is of 95 %. Both reach
    from the fall by so many standard errors of a normal distribution.
    """
    shrink = NormalDist().inv_cdf(CONFIDENCE) / NormalDist().inv_cdf(1.0 - alpha)
    signals = []
    for verdict in verdicts:
        fall = verdict.primary
        bound = None
        if fall.drop is not None and fall.bound is not None:
            bound = fall.drop - shrink * (fall.drop - fall.bound)
        signals.append(
            Signal(
                service,
                "performance-drop",
                verdict.first,
                verdict.last,
                fall.drop,
                fall.n,
                subject=fall.name,
                bound=bound,
                confirmed=verdict.alarm,
                reason=fall.note,
                version=verdict.version,
                baseline=fall.baseline,
            )
        )
    return signals
