"""False findings, power, CUPED, daily looks and broken splits of experiments.

`python -m benchmarks.experiments [--analyses 4000] [--runs 1000] [--gateway 200]`. Users are
heavy-tailed, and assigned by the gateway's own function; `--gateway` experiments go through a real
gateway. GrowthBook's gbstats is the oracle of the figures.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.experiments.oracle import compare_with_gbstats
from benchmarks.experiments.simulation import (
    DAY,
    START,
    assign,
    configure,
    draw_population,
    list_days,
    make_units,
    spread_entries,
)
from benchmarks.experiments.through_gateway import run_live
from benchmarks.harness.results import Row, report
from sluice.experiments.analysis import analyse_units
from sluice.experiments.comparison import Look
from sluice.experiments.plan import plan_experiment
from sluice.stats.experiments.proportions import compare_rates

USERS = 2_000
RUNS = 1_000
LOW, HIGH = 0.04, 0.06
GATEWAY_HIGH = 0.10
"""More of 200 experiments are called different once in 860 times, if .05 of them should be."""
HOW = ("by_unit", "by_request")
DAYS = 28
EFFECT = {"mean": 0.2, "units_a_day": 1_000}
RATE = {"name": "m", "source": "value", "shape": "rate", "better": "higher"}
MEAN = {"name": "m", "source": "value", "shape": "mean", "better": "higher"}
SEED = 20_261_201


def find(units: object, config: object, look: Look) -> str:
    """Return what an analysis finds of the primary metric; `stopped` by the sample ratio."""
    found = analyse_units(units, config, look)  # type: ignore[arg-type]
    return found.primary.finding if found.primary else "stopped"


def measure_equal(analyses: int) -> Iterator[Row]:
    """Equal arms: how often units, and requests, are called different."""
    rng = np.random.default_rng(SEED)
    config = configure()
    by_unit, by_request, stopped = 0, 0, 0
    for number in range(analyses):
        users = draw_population(rng, USERS)
        arm = assign(users.names, f"salt-{number}", config.split)
        units = make_units(arm, users.praised, users.requests)
        finding = find(units, config, Look(START, START, USERS, 0.1))
        by_unit += finding in ("better", "worse")
        stopped += finding == "stopped"
        totals = [
            int(values[arm == one].sum())
            for one in (0, 1)
            for values in (users.praised, users.requests)
        ]
        by_request += compare_rates(*totals).significant
    name = "equal arms, rate per request by unit (delta method): significant"
    yield Row(name, by_unit / analyses, "share", HIGH)
    yield Row(f"{name}, at least", by_unit / analyses, "share", LOW, at_least=True)
    yield Row("the same by a z-test over requests", by_request / analyses, "share")
    yield Row("equal arms stopped by the sample ratio", stopped / analyses, "share", 0.002)


@dataclass(frozen=True)
class Lift:
    """A true effect of 25 percent (a mean: 10), which an experiment of the planned size looks for.

    `again`: how many times `--runs` it is tried; a share near its target needs many.
    """

    name: str
    metric: dict[str, str]
    split: float
    looks: str = "fixed"
    again: int = 1


LIFTS = (
    Lift("rate, 50 %", RATE, 0.5, again=10),
    Lift("rate, 10 %", RATE, 0.1, again=10),
    Lift("rate that falls, 10 %", {**RATE, "better": "lower"}, 0.1, again=10),
    Lift("mean, 10 %", MEAN, 0.1, again=4),
    Lift("sequential rate, 50 %", RATE, 0.5, "sequential"),
    Lift("sequential rate, 10 %", RATE, 0.1, "sequential"),
    Lift("sequential rate that falls, 10 %", {**RATE, "better": "lower"}, 0.1, "sequential"),
    Lift("sequential mean, 50 %", MEAN, 0.5, "sequential"),
)


def measure_lifts(runs: int) -> Iterator[Row]:
    """A true lift at the planned size is found; equal arms of that size seldom."""
    rng = np.random.default_rng(SEED + 1)
    for lift in LIFTS:
        is_rate = lift.metric["shape"] == "rate"
        config = configure(
            primary=lift.metric,
            split=lift.split,
            looks=lift.looks,
            minimum_detectable_effect=0.25 if is_rate else 0.1,
            assumed=EFFECT if is_rate else {"mean": 5.0, "deviation": 2.0, "units_a_day": 1_000},
        )
        plan = plan_experiment(config, None, (0.0, 0.0))
        shift = plan.effect if lift.metric["better"] == "higher" else -plan.effect
        found = {}
        for effect in (shift, 0.0):
            hits, times = 0, runs * (lift.again if effect else min(4, lift.again))
            for _ in range(times):
                hits += _find_lift(rng, config, plan, effect) != "no difference"
            found[effect] = hits / times
        name = f"{lift.name}, {plan.units:,} planned users"
        yield Row(f"{name}: the lift found", found[shift], "share", 0.8, at_least=True)
        yield Row(f"{name}: equal arms called different", found[0.0], "share", HIGH)


def _find_lift(rng: np.random.Generator, config: Any, plan: Any, effect: float) -> str:
    """Return what one experiment of the planned size finds; its users come evenly."""
    arm = (rng.random(plan.units) < config.split).astype(np.int64)
    if config.primary.shape == "rate":
        figures = (rng.random(plan.units) < plan.baseline + effect * arm).astype(float)
    else:
        figures = rng.gamma(6.25, 0.8, plan.units) + effect * arm
    lasts = plan.units / plan.units_a_day * DAY
    entered = START + rng.random(plan.units) * lasts
    units = make_units(arm, figures, np.ones(plan.units), entered)
    as_of = START + lasts + 2 * DAY
    return find(units, config, Look(as_of, START, plan.units, plan.effect))


def measure_cuped(runs: int) -> Iterator[Row]:
    """The variance of the difference with CUPED, beside theory, and its false findings."""
    rng = np.random.default_rng(SEED + 2)
    config = configure(primary=MEAN, cuped="7 d")
    for correlation in (0.5, 0.8):
        plain, adjusted, said, wrong = [], [], [], 0
        for _ in range(runs):
            x = rng.normal(0, 1, 800)
            y = 5 + correlation * x + np.sqrt(1 - correlation**2) * rng.normal(0, 1, 800)
            arm = (rng.random(800) < 0.5).astype(np.int64)
            units = make_units(arm, y, np.ones(800), covariate=x)
            result = analyse_units(units, config, Look(START, START, 800, 0.1)).primary
            assert result is not None
            assert result.plain is not None
            plain.append(result.plain.difference)
            adjusted.append(result.difference or 0.0)
            said.append(result.plain.variance_ratio)
            wrong += result.finding != "no difference"
        theory = 1 - correlation**2
        ratio = float(np.var(adjusted) / np.var(plain)) / theory
        name = f"CUPED, correlation {correlation:g}: variance ratio by 1 - r^2"
        yield Row(name, ratio, "ratio", 1.15)
        yield Row(f"{name}, at least", ratio, "ratio", 0.85, at_least=True)
        stated = float(np.mean(said)) / theory
        yield Row(f"{name}, as the analysis states it", stated, "ratio", 1.02)
        name = f"CUPED, correlation {correlation:g}: equal arms called different"
        yield Row(name, wrong / runs, "share", HIGH)


def measure_looks(runs: int) -> Iterator[Row]:
    """Equal arms looked at each day: sequential tests, and the fixed one read again and again."""
    rng = np.random.default_rng(SEED + 3)
    for name, metric in (("rate", RATE), ("mean", MEAN)):
        config = configure(primary=metric, looks="sequential")
        fixed = configure(primary=metric)
        wrong, read, true = 0, 0, 0
        for run in range(runs):
            users = 200 * DAYS
            entered = spread_entries(rng, users, DAYS)
            arm = (rng.random(users) < 0.5).astype(np.int64)
            figures = (
                (rng.random(users) < 0.2).astype(float)
                if name == "rate"
                else rng.lognormal(0, 1, users)
            )
            wrong += _look_daily(config, arm, figures, entered, users)
            read += _look_daily(fixed, arm, figures, entered, users)
            if run < runs // 5:
                lift = (rng.random(users) < np.where(arm == 1, 0.25, 0.2)).astype(float)
                lift = lift if name == "rate" else figures * np.where(arm == 1, 1.2, 1.0)
                true += _look_daily(config, arm, lift, entered, users)
        yield Row(f"sequential {name}, {DAYS} daily looks: false findings", wrong / runs, "share",
                  0.05)  # fmt: skip
        yield Row(f"fixed test of the {name} read at {DAYS} looks", read / runs, "share")
        yield Row(f"sequential {name}: a lift of 20-25 % found", true / (runs // 5), "share")


def _look_daily(
    config: object, arm: np.ndarray, figures: np.ndarray, entered: np.ndarray, planned: int
) -> bool:
    for as_of in list_days(DAYS):
        done = entered + DAY <= as_of
        if min(np.sum(done & (arm == one)) for one in (0, 1)) < 2:
            continue
        units = make_units(arm[done], figures[done], np.ones(int(done.sum())), entered[done])
        if find(units, config, Look(as_of, START, planned, 0.05)) in ("better", "worse"):
            return True
    return False


def measure_splits(runs: int) -> Iterator[Row]:
    """A split that loses units of the treatment is stopped before any metric."""
    rng = np.random.default_rng(SEED + 4)
    config = configure(split=0.1)
    for lost, target in ((0.2, 0.99), (0.1, 0.95)):
        stopped = 0
        for _ in range(runs // 2):
            users = 40_000
            arm = (rng.random(users) < config.split).astype(np.int64)
            kept = (arm == 0) | (rng.random(users) >= lost)
            units = make_units(arm[kept], np.ones(int(kept.sum())), np.ones(int(kept.sum())))
            stopped += find(units, config, Look(START, START, users, 0.1)) == "stopped"
        name = f"{lost:.0%} of the treatment's units lost, 40,000 units at 10 %: stopped"
        yield Row(name, stopped / (runs // 2), "share", target, at_least=True)


def measure_gateway(experiments: int) -> Iterator[Row]:
    """A/A experiments whose every request went through a real gateway."""
    found = []
    for one in run_live(experiments):
        found.append(one)
        if len(found) % 20 == 0:
            print(f"{len(found)} experiments went through the gateway", flush=True)
    lost, total = sum(one.lost for one in found), len(found)
    by_unit, by_request = (sum(getattr(one, key) for one in found) for key in HOW)
    name = f"{experiments} A/A experiments through a real gateway"
    yield Row(f"{name}: requests that the log lacks", float(lost), "requests", 0.0)
    yield Row(f"{name}: units called different", by_unit / total, "share", GATEWAY_HIGH)
    yield Row(f"{name}: requests called different", by_request / total, "share")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--analyses", type=int, default=4_000)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each other simulation")
    parser.add_argument("--gateway", type=int, default=200, help="experiments; 0: none")
    chosen = parser.parse_args()
    began, runs, rows = time.monotonic(), chosen.runs, []
    parts = {
        "gbstats": compare_with_gbstats(),
        "equal": measure_equal(chosen.analyses),
        "lifts": measure_lifts(runs),
        "cuped": measure_cuped(4 * runs),
        "looks": measure_looks(runs // 3),
        "splits": measure_splits(runs),
    }
    if chosen.gateway:
        parts["gateway"] = measure_gateway(chosen.gateway)
    for part in parts.values():
        for row in part:
            print(f"{time.monotonic() - began:6.0f} s  {row.name}: {row.value:.3g}", flush=True)
            rows.append(row)
    notes = {"analyses": chosen.analyses, "runs": runs, "users": USERS, "seed": SEED}
    report("experiments", rows, {**notes, "through a gateway": chosen.gateway})


if __name__ == "__main__":
    main()
