"""A simulation of what a rollout policy can detect at a given traffic."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cli.output import say, show_rows
from sluice.config.policy import Policy
from sluice.rollout.simulation.rollouts import RolloutEnding, Simulation, SimulationResult, simulate
from sluice.rollout.simulation.traffic import Regression, Signals, Traffic

RUNS, SEED = 60, 1
MEDIAN_MS, SPREAD = 1.0, 0.8
"""Of response times on a busy computer: the median, and the sigma of their logarithm."""


@dataclass(frozen=True)
class Chance:
    """How simulated rollouts of one kind of candidate ended, as shares."""

    candidate: str
    rolled_back: float
    promoted: float
    held: float
    seconds: float | None
    """Median time to the rollback; if none was rolled back, to the promotion."""


def forecast(policy: Policy, traffic: Traffic, runs: int = RUNS) -> list[Chance]:
    """Simulate whole rollouts of a candidate equal to the champion, and of worse ones."""
    return [
        _summarize(
            name, simulate(Simulation(policy, replace(traffic, regression=fault), runs, SEED))
        )
        for name, fault in list_candidates(policy)
    ]


def list_candidates(policy: Policy) -> list[tuple[str, Regression]]:
    """Return the simulated candidates: faults below, at and beyond the policy's limits."""
    margin = policy.rules.error_margin.margin
    ratio = policy.rules.feedback.ratio
    errors = [(f"{100 * share:+g} points of errors", share) for share in (margin / 2, 2 * margin)]
    return [
        ("equals the champion", Regression()),
        *((name, Regression(share)) for name, share in errors),
        ("takes 1.3 times as long", Regression(slowdown=1.3)),
        ("takes 3 times as long", Regression(slowdown=3.0)),
        (f"{ratio:g} times the complaints", Regression(negatives=ratio)),
        (f"{1.4 * ratio:.2g} times the complaints", Regression(negatives=1.4 * ratio)),
    ]


def describe_traffic(rps: float, feedback: float, negatives: float) -> Traffic:
    """Return the traffic of the demonstration: no errors, fast answers, much feedback."""
    signals = Signals(feedbacks=feedback, negatives=negatives)
    return Traffic(rps, 0.0, latency=MEDIAN_MS, latency_spread=SPREAD, signals=signals)


def show_forecast(policy: Policy, traffic: Traffic, chances: Sequence[Chance]) -> None:
    """Print how often the policy promotes, rolls back and holds each candidate."""
    say(
        f"what policy {policy.policy} can and cannot detect at {traffic.rate:g} requests/s: "
        f"{RUNS} simulated rollouts per line"
    )
    show_rows("", [_describe(one) for one in chances])
    say("a fault within its limit is promoted: a limit says which loss is acceptable")


def _summarize(name: str, outcome: SimulationResult) -> Chance:
    back, promoted = outcome.share(RolloutEnding.ROLLED_BACK), outcome.share(RolloutEnding.PROMOTED)
    held = outcome.share(RolloutEnding.HELD) + outcome.share(RolloutEnding.PAUSED)
    seconds = outcome.median_seconds(RolloutEnding.ROLLED_BACK if back else RolloutEnding.PROMOTED)
    return Chance(name, back, promoted, held, seconds)


def _describe(chance: Chance) -> dict[str, str]:
    return {
        "a candidate that": chance.candidate,
        "is promoted": f"{chance.promoted:.2f}",
        "rolled back": f"{chance.rolled_back:.2f}",
        "held": f"{chance.held:.2f}",
        "after": "-" if chance.seconds is None else f"{chance.seconds:.0f} s",
    }
