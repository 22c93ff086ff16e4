"""How often the gates of prompts are right, in simulation: `make bench-prompt-gate`.

`python -m benchmarks.prompts.gate [--runs 2000]`. Each case passes with a probability of its own,
drawn from Beta(9, 1), and is asked three times. Both versions share the cases. Every run goes
through the measurement and the gate that a release takes; all draws are seeded.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.config.prompts.limits import PromptLimits
from sluice.gates.prompts.bias import TextBiasGate, find_limits
from sluice.gates.prompts.cost import CostGate
from sluice.gates.prompts.evaluation import CriteriaGate
from sluice.stats.prompts.bounds import Floats
from sluice.stats.prompts.cost import CaseCost, measure_cost
from sluice.stats.prompts.criteria import CaseScores, CriterionScores, measure_prompt
from sluice.stats.prompts.text_bias import GroupAnswers, measure_text_bias
from sluice.verdict import Outcome, Verdict

REPEATS, CASES, MANY_CASES, FEW_CASES, PAIRS = 3, 200, 300, 20, 400
DROP, FLOOR = 0.05, 0.5
"""The fall of a criterion in every case, and a limit far below what is measured."""
CHANGED = 0.0253 / 0.8
"""The share of labels that are drawn anew: a fifth of them stays as it was."""
SEED = 19
LIMITS = PromptLimits()
LABELS = np.array(["billing", "account", "delivery", "fault", "other"], dtype=object)
GROUPS = ("women", "men", "they")
Random = np.random.Generator
Simulation = Callable[[Random], Verdict]


def simulate_criteria(random: Random, cases: int, criteria: int, drops: int) -> Verdict:
    """Judge criteria of which the first `drops` fall by five points in every case."""
    names = tuple(map(str, range(cases)))
    scores = []
    for place in range(criteria):
        rates = random.beta(9.0, 1.0, cases)
        lower = np.maximum(rates - DROP, 0.0) if place < drops else rates
        both = [_ask(random, one) for one in (lower, rates)]
        candidate, active = (CaseScores(names, one) for one in both)
        scores.append(CriterionScores(f"criterion {place}", "mean", FLOOR, candidate, active))
    return CriteriaGate(LIMITS).judge(measure_prompt(cases, scores, (), 1))


def simulate_safety(random: Random, cases: int, rate: float) -> Verdict:
    """Judge a prompt that is safe in a share of the cases by the limit .99."""
    scores = CaseScores(tuple(map(str, range(cases))), _ask(random, np.full(cases, rate), 1))
    criterion = CriterionScores("safety", "rate", 0.99, scores)
    return CriteriaGate(LIMITS, "safety").judge(measure_prompt(cases, [criterion]))


def simulate_cost(random: Random, cases: int, times: float) -> Verdict:
    """Judge a version whose cases cost `times` as much; lengths of answers vary by chance."""
    inputs = random.lognormal(6.0, 0.6, cases)
    costs = []
    for factor in (times, 1.0):
        answers = random.lognormal(5.0, 0.5, (REPEATS, cases)).mean(axis=0)
        dollars = factor * (3.0 * inputs + 15.0 * answers) / 1e6
        costs.append({str(case): CaseCost(one, 0.0) for case, one in enumerate(dollars)})
    return CostGate(LIMITS).judge(measure_cost(costs[0], costs[1], 1))


def simulate_bias(random: Random, shift: float) -> Verdict:
    """Judge three groups by 24 checks: five labels, length, refusals and tone of each pair.

    The label of a group differs from the case's own in 2.53 % of the cases, so that 5 % of the
    pairs differ by chance; `shift` of the first group's labels become another one besides.
    """
    own = random.integers(0, len(LABELS), PAIRS)
    groups = []
    for group in GROUPS:
        places = np.where(random.random(PAIRS) < CHANGED, random.integers(0, 5, PAIRS), own)
        if group == GROUPS[0]:
            places = np.where(random.random(PAIRS) < shift, 0, places)
        groups.append(
            GroupAnswers(
                group,
                random.lognormal(5.0, 0.2, PAIRS),
                random.random(PAIRS) < 0.01,
                random.normal(0.0, 0.1, PAIRS).clip(-1.0, 1.0),
                LABELS[places],
            )
        )
    evidence = measure_text_bias(groups, find_limits(LIMITS.bias))
    assert len(evidence.figures) == 24, len(evidence.figures)
    return TextBiasGate(LIMITS.bias).judge(evidence)


def _ask(random: Random, rates: Floats, repeats: int = REPEATS) -> Floats:
    """Return passes and failures of every case; shape (cases, repeats)."""
    return (random.random((len(rates), repeats)) < rates[:, None]).astype(np.float64)


def simulate(runs: int, simulation: Simulation) -> Counter[str]:
    """Return how often each outcome came; `proved` counts passes without an unproved check."""
    found: Counter[str] = Counter()
    for run in range(runs):
        verdict = simulation(np.random.default_rng((SEED, run)))
        found[str(verdict.outcome)] += 1
        checks = verdict.checks
        found["proved"] += verdict.passed and all(one.outcome is Outcome.PASS for one in checks)
    return found


def measure(runs: int) -> Iterable[Row]:
    """Yield each figure of the table."""

    def row(name: str, simulation: Simulation, outcome: str, target: float, least: bool) -> Row:
        found = simulate(runs, simulation)
        say(f"{name}: {dict(found)}")
        return Row(name, found[outcome] / runs, "of runs", target, at_least=least)

    for cases, criteria in ((CASES, 1), (MANY_CASES, 4)):
        words = f"{criteria} {'criterion' if criteria == 1 else 'criteria'}, {cases} cases"
        same = partial(simulate_criteria, cases=cases, criteria=criteria, drops=0)
        worse = partial(simulate_criteria, cases=cases, criteria=criteria, drops=1)
        yield row(f"{words}: no change, fails", same, "fail", 0.07, False)
        yield row(f"{words}: one falls 5 points, fails", worse, "fail", 0.8, True)
    yield row(
        "cost, equal version: fails", lambda r: simulate_cost(r, CASES, 1.0), "fail", 0.07, False
    )
    yield row(
        "cost, twice the price: fails", lambda r: simulate_cost(r, CASES, 2.0), "fail", 0.95, True
    )
    yield row(
        "bias, 24 checks, no effect: fails", lambda r: simulate_bias(r, 0.0), "fail", 0.01, False
    )
    yield row(
        "bias, 24 checks, no effect: all proved",
        lambda r: simulate_bias(r, 0.0),
        "proved",
        0.8,
        True,
    )
    # Of those moved a fifth have the label already: .19 of all moves a share by .15.
    yield row(
        "bias, a label's share differs by .15: fails",
        lambda r: simulate_bias(r, 0.1875),
        "fail",
        0.8,
        True,
    )
    yield row(
        "safety > .99, a .97-safe prompt, 20 cases: passes",
        lambda r: simulate_safety(r, FEW_CASES, 0.97),
        "pass",
        0.0,
        False,
    )
    yield row(
        "safety > .99, a .995-safe prompt, 20 cases: fails",
        lambda r: simulate_safety(r, FEW_CASES, 0.995),
        "fail",
        0.01,
        False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    runs = parser.parse_args().runs
    report("prompt_gate", list(measure(runs)), {"runs": runs, "repeats": REPEATS, "seed": SEED})


if __name__ == "__main__":
    main()
