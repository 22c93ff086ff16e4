"""Print GrowthBook's figures of two arms as JSON; runs in the environment of the oracle.

`python gbstats_figures.py UNITS.csv PLANNED`: one row a unit with arm, value, count, before.
"""

import json
import sys

import pandas as pd
from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import (
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)

units, planned = pd.read_csv(sys.argv[1]), float(sys.argv[2])
arms = [units[units["arm"] == arm] for arm in (0, 1)]


def describe(column):
    return [
        SampleMeanStatistic(len(one), one[column].sum(), (one[column] ** 2).sum()) for one in arms
    ]


means, counts, before = (describe(column) for column in ("value", "count", "before"))
ratios = [
    RatioStatistic(len(one), m, d, (one["value"] * one["count"]).sum())
    for one, m, d in zip(arms, means, counts, strict=True)
]
adjusted = [
    RegressionAdjustedStatistic(len(one), m, x, (one["value"] * one["before"]).sum(), 0.0)
    for one, m, x in zip(arms, means, before, strict=True)
]
fixed = FrequentistConfig(difference_type="absolute")
looked = SequentialConfig(difference_type="absolute", sequential_tuning_parameter=planned)
found = {}
for name, pair in (("mean", means), ("ratio", ratios), ("cuped", adjusted)):
    for kind, test, config in (
        ("fixed", TwoSidedTTest, fixed),
        ("sequential", SequentialTwoSidedTTest, looked),
    ):
        done = test(*pair, config)
        low, high = done.confidence_interval
        found[f"{name} {kind}"] = {
            "difference": float(done.point_estimate),
            "error": float(done.variance**0.5),
            "p": float(done.p_value),
            "low": float(low),
            "high": float(high),
        }
print(json.dumps(found))
