"""What windows of labelled answers hand to the rules of monitoring."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import pytest

from sluice.drift.performance.comparison import LossRise, PerformanceDrop
from sluice.drift.performance.windows import WindowVerdict
from sluice.monitoring.performance import list_performance_signals

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(hours=2)
ERROR, BASELINE = 0.02, 0.80
FALL = PerformanceDrop(
    "auc", BASELINE, 0.72, 500, 0.1, (0.08 - NormalDist().inv_cdf(0.999) * ERROR) / BASELINE, True
)
WINDOW = WindowVerdict(3, 500, START, END, (START, END), LossRise("log_loss", 0.4, 0.5, 500), FALL)


def test_the_bound_of_a_signal_is_of_95_percent() -> None:
    [signal] = list_performance_signals("shop", [WINDOW], 0.001)
    assert signal.check().bound == pytest.approx((0.08 - 1.6448536 * ERROR) / BASELINE)
    assert (signal.value, signal.n, signal.subject, signal.version) == (0.1, 500, "auc", 3)
    assert (signal.start, signal.end, signal.baseline) == (START, END, BASELINE)


def test_a_window_that_cannot_be_compared_says_why() -> None:
    unknown = PerformanceDrop("auc", None, 0.72, 500, note="the release did not measure it")
    [signal] = list_performance_signals("shop", [replace(WINDOW, primary=unknown)], 0.001)
    assert signal.check().value is None
    assert signal.reason == "the release did not measure it"
