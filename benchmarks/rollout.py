"""A policy's error rates on synthetic traffic, 1,000 rollouts per row, and those of literal rules.

`python -m benchmarks.rollout [--runs 1000]`; two processes with one thread each; a few minutes on
two cores. The figure in docs/rollout.md is drawn from the same results.
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np

from benchmarks.harness.results import Row, report
from sluice.config.loading import load_policy
from sluice.config.policy import Policy, hash_policy
from sluice.rollout.facts import Arm, Facts
from sluice.rollout.history import History
from sluice.rollout.latency import WINDOW, bucket_of
from sluice.rollout.observation import open_stage
from sluice.rollout.simulation.feasibility import find_need, pass_equal_arms
from sluice.rollout.simulation.rollouts import RolloutEnding, Simulation, SimulationResult, simulate
from sluice.rollout.simulation.traffic import Drift, Incident, Regression, Traffic, Users
from sluice.rollout.state import Phase, start
from sluice.rollout.state_machine import step

POLICY, STAGE = "standard", "canary"
HOUR, MINUTE = 3600.0, 60.0
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "rollout-rules.png"


@dataclass(frozen=True)
class Case:
    """One simulation, and the figures that are read from its result."""

    name: str
    simulation: Simulation
    figures: tuple[tuple[str, str, float | None], ...]
    """(figure, its unit, its target); the figure is a key of `read_figures`."""
    start: float = 0.0
    """Start of the fault in seconds."""


def list_cases(runs: int) -> list[Case]:
    policy = load_policy(POLICY)
    names = [stage.name for stage in policy.stages]
    canary = policy.model_copy(update={"stages": (policy.stages[names.index(STAGE)],)})
    return [
        replace(case, simulation=replace(case.simulation, seed=100 + place))
        for place, case in enumerate(
            [*whole_cases(policy, runs), *healthy(canary, runs), *faulty(canary, runs)]
        )
    ]


def whole_cases(policy: Policy, runs: int) -> Iterator[Case]:
    back, missed = ("rolled back", "share", 0.02), ("not promoted", "share", 0.05)
    hours = ("median to promotion", "h", None)
    yield Case("whole, healthy", Simulation(policy, Traffic(), runs), (back, missed, hours))
    for name, onset in (("from the start", 0.0), ("from the canary on", HOUR)):
        traffic = Traffic(regression=Regression(0.01, start=onset))
        figures = (("promoted", "share", 0.01), ("median to roll-back", "min", None))
        yield Case(f"whole, +1 point {name}", Simulation(policy, traffic, runs), figures, onset)
    slow = Traffic(regression=Regression(slowdown=1.2, start=HOUR))
    figures = (("promoted", "share", None), ("median to roll-back", "min", None))
    yield Case("whole, P95 x1.2 from the canary on", Simulation(policy, slow, runs), figures, HOUR)
    within = Traffic(regression=Regression(0.003))
    figures = (("promoted", "share", None), ("held", "share", None), ("rolled back", "share", None))
    yield Case("whole, +.3 points (within the margin)", Simulation(policy, within, runs), figures)


def healthy(canary: Policy, runs: int) -> Iterator[Case]:
    back = (("rolled back", "share", 0.01), ("not promoted", "share", None))
    incident = Incident(HOUR, 10 * MINUTE, 0.10)
    heavy = Users()
    plain = {
        "plain": Traffic(),
        "shared incident, 10 minutes at 10 %": Traffic(incident=incident),
        "common drift to 1.8 %": Traffic(drift=Drift(0.018, 0.0, 4 * HOUR)),
        "errors clustered, sigma .5, both arms alike": Traffic(clustering=0.5),
        "errors clustered, sigma .5, each arm": Traffic(clustering=0.5, shared=False),
    }
    for name, traffic in plain.items():
        yield Case(f"5 %, healthy, {name}", Simulation(canary, traffic, runs, soak=False), back)
    for name, users, target in (
        ("as they come", heavy, None),
        ("shadow balance", replace(heavy, balanced=True), 0.02),
    ):
        simulation = Simulation(canary, Traffic(users=users), runs, soak=False)
        figures = (("rolled back", "share", target), ("held", "share", None))
        yield Case(f"5 %, healthy, heavy-tailed users, {name}", simulation, figures)
    units = canary.model_copy(update={"count": "units"})
    simulation = Simulation(units, Traffic(users=heavy), runs, soak=False)
    figures = (("rolled back", "share", 0.01), ("held", "share", None))
    yield Case("5 %, healthy, heavy-tailed users, by units", simulation, figures)
    for name, checks in (("literal rules", 1), ("5 failed checks", 5)):
        simulation = Simulation(canary, Traffic(), runs, judge="points", checks=checks, soak=False)
        figures = (("rolled back", "share", None), ("median to roll-back", "min", None))
        yield Case(f"5 %, healthy, {name}", simulation, figures)


def faulty(canary: Policy, runs: int) -> Iterator[Case]:
    def simulation(start: float = 0.0, errors: float = 0.0, slowdown: float = 1.0) -> Simulation:
        fault = Regression(errors, slowdown, start)
        return Simulation(canary, Traffic(regression=fault), runs, soak=False)

    median, seen = "median to roll-back", "median requests exposed"
    yield Case(
        "5 %, +1 point",
        simulation(errors=0.01),
        (("not rolled back", "share", 0.01), (median, "min", 65), (seen, "", None)),
    )
    yield Case(
        "5 %, +4 points",
        simulation(errors=0.04),
        (("not rolled back", "share", 0.01), (median, "min", 4), (seen, "", None)),
    )
    yield Case(
        "5 %, +1 point from minute 60 on",
        simulation(HOUR, 0.01),
        (("not rolled back", "share", 0.05), (median, "min", None)),
        HOUR,
    )
    yield Case("5 %, at the margin", simulation(errors=0.005), (("promoted", "share", 0.05),))
    yield Case(
        "5 %, P95 x1.2",
        simulation(slowdown=1.2),
        (("not rolled back", "share", 0.01), (median, "min", 20), (seen, "", None)),
    )
    slow = Traffic(errors=0.0, regression=Regression(slowdown=1.2))
    yield Case(
        "5 %, P95 x1.2, no errors at all",
        Simulation(canary, slow, runs, soak=False),
        (("not rolled back", "share", None), (median, "min", None)),
    )
    for name, checks in (("literal rules", 1), ("5 failed checks", 5)):
        points = replace(simulation(errors=0.01), judge="points", checks=checks)
        yield Case(f"5 %, +1 point, {name}", points, ((median, "min", None),))


def run_case(case: Case) -> tuple[SimulationResult, float, float]:
    """Simulate a case; return its result, the wall time and the processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    outcome = simulate(case.simulation)
    return outcome, time.perf_counter() - wall, time.process_time() - processor


def read_figures(outcome: SimulationResult, start: float) -> dict[str, float]:
    back = outcome.median_seconds(RolloutEnding.ROLLED_BACK, start)
    promoted = outcome.median_seconds(RolloutEnding.PROMOTED)
    nothing = float("nan")
    return {
        "rolled back": outcome.share(RolloutEnding.ROLLED_BACK),
        "not rolled back": 1 - outcome.share(RolloutEnding.ROLLED_BACK),
        "promoted": outcome.share(RolloutEnding.PROMOTED),
        "not promoted": 1 - outcome.share(RolloutEnding.PROMOTED),
        "held": outcome.share(RolloutEnding.HELD),
        "median to roll-back": nothing if back is None else back / MINUTE,
        "median to promotion": nothing if promoted is None else promoted / HOUR,
        "median requests exposed": outcome.median_exposed(RolloutEnding.ROLLED_BACK) or 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    cases = list_cases(runs)
    rows: list[Row] = []
    outcomes: dict[str, SimulationResult] = {}
    seconds: dict[str, tuple[float, float]] = {}
    with ProcessPoolExecutor(2) as pool:
        for case, (outcome, wall, processor) in zip(cases, pool.map(run_case, cases), strict=True):
            print(
                f"### {case.name}: {wall:.0f} s, of it {processor:.0f} s of processor", flush=True
            )
            outcomes[case.name] = outcome
            seconds[case.name] = wall, processor
            figures = read_figures(outcome, case.start)
            rows += [
                Row(f"{case.name}: {figure}", figures[figure], unit, target)
                for figure, unit, target in case.figures
            ]
    rows += compare_feasibility(min(runs, 400))
    rows += measure_speed(seconds["5 %, at the margin"], runs)
    notes = {
        "policy": f"{POLICY}, sha256 {hash_policy(load_policy(POLICY))}",
        "rollouts a row": runs,
        "traffic": "50 requests/s, 1 % errors, lognormal times (median 100 ms, sigma .6)",
        "clustering": "each block in a stage of 240 blocks, each tenth in whole rollouts",
        "whole, healthy: rolled back by": outcomes["whole, healthy"].count_rules(),
    }
    report("rollout", rows, notes)
    draw(outcomes)


def compare_feasibility(runs: int) -> list[Row]:
    """Compare feasibility with whole rollouts, and the requests that a pass needs by weight."""
    policy = load_policy(POLICY)
    rows = []
    for rate in (1.0, 10.0, 50.0):
        traffic = Traffic(rate=rate)
        chances = np.mean(~np.isnan(pass_equal_arms(policy, traffic, (runs, 201)).passed), axis=1)
        promoted = simulate(Simulation(policy, traffic, runs, 202, soak=False)).share(
            RolloutEnding.PROMOTED
        )
        expected = float(np.prod(chances))
        error = sqrt(max(expected * (1 - expected), 1 / runs) * 2 / runs)
        name = f"feasibility at {rate:g} requests/s"
        print(f"### {name}: {[round(float(item), 3) for item in chances]}", flush=True)
        rows += [
            Row(f"{name}: every stage passed", expected, "share"),
            Row(f"{name}: promoted in whole rollouts", promoted, "share"),
            Row(f"{name}: apart", abs(promoted - expected) / error, "std. errors", 3),
        ]
    for weight, published in ((0.05, 5650), (0.25, 7400), (0.50, 10400)):
        stage = policy.stages[1].model_copy(update={"weight": weight})
        alone = policy.model_copy(update={"stages": (stage,), "history": 6 * HOUR})
        needed = find_need(alone, 0, Traffic(rate=10), (runs, 203))[0] or float("nan")
        name = f"requests until .8 of equal arms pass at {weight:.0%}"
        rows.append(Row(f"{name} (published: {published:,})", needed, "requests"))
    return rows


def measure_speed(seconds: tuple[float, float], runs: int) -> list[Row]:
    """Return the time of whole stages: at the margin nearly all last to the end, 240 blocks."""
    wall, processor = (item * 1000 / runs for item in seconds)
    load = os.getloadavg()[0]
    return [
        Row("1,000 stages of 240 blocks, four rules: wall time", wall, "s", 60),
        Row("1,000 stages of 240 blocks, four rules: processor time", processor, "s"),
        measure_step(),
        Row("load of the machine at the end", load, "processes"),
    ]


def measure_step(blocks: int = 2400, times: int = 200) -> Row:
    """Return the time of one controller tick late in a rollout, with a long champion history."""
    policy, rng = load_policy(POLICY), np.random.default_rng(301)
    begun = start(policy, [draw_arm(rng, 3000) for _ in range(WINDOW)])
    past = rng.binomial(3000, 0.01, blocks).astype(float)
    history = dict.fromkeys(begun.observation.evidence, History(np.full(blocks, 3000.0), past))
    last = len(policy.stages) - 1
    observation = open_stage(policy, last, history, begun.observation.baseline)
    state = replace(begun, phase=Phase.CANARY, stage=last, epoch=1, observation=observation)
    facts = Facts(draw_arm(rng, 1500), draw_arm(rng, 1500), 1, champion_alarm=-1.0)
    began = time.process_time()
    for _ in range(times):
        step(state, facts, None, policy)
    spent = (time.process_time() - began) / times * 1000
    rules = len(begun.observation.evidence)
    return Row(f"one step of a controller, {rules} rules, {blocks:,} blocks known", spent, "ms", 5)


def draw_arm(rng: np.random.Generator, requests: int) -> Arm:
    """Draw an arm's counts of one block, with its latency histogram."""
    failures = int(rng.binomial(requests, 0.01))
    drawn = [bucket_of(float(time)) for time in rng.lognormal(4.6, 0.6, requests - failures)]
    latencies = {bucket: float(drawn.count(bucket)) for bucket in set(drawn)}
    n = float(requests)
    return Arm(n, float(failures), latencies, n / 500, n / 50, n / 500, n, n / 20)


def draw(outcomes: dict[str, SimulationResult]) -> None:
    """Plot when a healthy candidate and one of +1 point are rolled back, by each way of judging."""
    from sluice.plots.rollout import draw_rules
    from sluice.plots.style import render_png

    keys = {
        "a healthy candidate": ("5 %, healthy, plain", "5 %, healthy, {}"),
        "a candidate that fails 1 point more": ("5 %, +1 point", "5 %, +1 point, {}"),
    }
    found = {
        title: {
            "evidence": outcomes[evidence],
            **{way: outcomes[points.format(way)] for way in ("5 failed checks", "literal rules")},
        }
        for title, (evidence, points) in keys.items()
    }
    PICTURE.write_bytes(render_png(draw_rules(found, 4 * HOUR)))


if __name__ == "__main__":
    main()
