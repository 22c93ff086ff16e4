"""A gain reads as one sentence."""

from sluice.report.gain import describe_gain
from sluice.stats.bootstrap import Estimate
from sluice.stats.gain import LiveGain

BEFORE, AFTER = Estimate(0.74, None, None, 500), Estimate(0.80, None, None, 1_200)


def test_a_gain_names_both_figures_and_its_interval() -> None:
    gain = LiveGain("accuracy", BEFORE, AFTER, Estimate(0.06, 0.017, 0.104, 500))
    assert describe_gain(gain, 5, 4) == (
        "live accuracy 0.8 (n 1,200) of v5, 0.74 (n 500) of v4 before: gain +0.06 "
        "[+0.017, +0.104], better"
    )


def test_a_gain_that_is_not_judged_has_its_reason() -> None:
    none = Estimate(None, None, None, 0)
    gain = LiveGain("accuracy", none, AFTER, none, "no labels before")
    assert describe_gain(gain, 5, 4, unread=2) == (
        "live accuracy 0.8 (n 1,200) of v5, not measured (n 0) of v4 before: not judged: no labels "
        "before; 2 labels could not be compared"
    )
