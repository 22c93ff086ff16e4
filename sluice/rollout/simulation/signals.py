"""What answers bring beside errors and time: guardrail hits, feedback, costs, business values."""

import numpy as np

from sluice.config.policy import Policy
from sluice.rollout.evidence import Block
from sluice.rollout.simulation.traffic import Counts, Floats, Regression, Signals

SIGNALS = ("guardrail", "feedback", "cost", "business")
"""The rules that compare signals."""
ANSWERED = ("feedback", "business")
"""Signals that come of an answer which a user saw."""
Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def choose_signals(policy: Policy, asked: bool) -> tuple[str, ...]:
    """Name the signals to draw: those asked for, and business wherever the policy has it."""
    business = ("business",) if policy.rules.business != "none" else ()
    return (*SIGNALS[:3], *business) if asked else business


class DrawnSignals:
    """Each block's signals of both arms; `names` says which rules they are drawn for."""

    def __init__(
        self, signals: Signals, policy: Policy, names: tuple[str, ...], rng: np.random.Generator
    ) -> None:
        self.signals, self.names, self.rng = signals, names, rng
        self.cap = policy.rules.cost.cap

    def draw(
        self, counts: Counts, fault: Regression, late: Floats, shadow: bool
    ) -> dict[str, Block]:
        """Give each rule's counts; `late` is 1 where the candidate's fault has begun, else 0.

        In shadow nobody sees the candidate's answers: no feedback and no values come of them.
        """
        draws = {
            "guardrail": (self._hit, fault.guardrails),
            "feedback": (self._complain, fault.negatives),
            "cost": (self._spend, fault.costs),
            "business": (self._lack, fault.values),
        }
        found = {}
        for name in self.names:
            draw, times = draws[name]
            seen = counts.n_c * (not shadow or name not in ANSWERED)
            n_c, k_c = draw(seen.astype(np.int64), 1 + late * (times - 1))
            n_b, k_b = draw(counts.n_b.astype(np.int64), np.ones_like(late))
            found[name] = Block(n_c, k_c, n_b, k_b)
        return found

    def _hit(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        return self._count(requests, self.signals.guardrails * times)

    def _complain(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        given = self.rng.binomial(requests, self.signals.feedbacks)
        return self._count(given, self.signals.negatives * times)

    def _spend(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        """Sum gamma-distributed costs: such sums are gamma-distributed themselves."""
        shape = 1 / self.signals.cost_spread**2
        total = self.rng.gamma(np.maximum(requests * shape, 1e-9), times / shape) / self.cap
        return requests.astype(float), np.where(requests > 0, np.minimum(total, requests), 0.0)

    def _lack(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        """Draw each value as 0 or the cap: of all values with that mean, the least certain."""
        arrived = self.rng.binomial(requests, self.signals.valued)
        n, k = self._count(arrived, self.signals.value * times)
        return n, n - k

    def _count(self, n: Integers, rate: Floats) -> tuple[Floats, Floats]:
        k = self.rng.binomial(n, np.clip(rate, 0, 1))
        return n.astype(float), k.astype(float)
