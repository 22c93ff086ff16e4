"""Traffic of users who differ: a few send most requests, and some always fail."""

import numpy as np

from sluice.rollout.balance import SALTS, measure_balance
from sluice.rollout.simulation.traffic import BlockCounts, Floats, Indices, Traffic, Users

SHADOW_SECONDS = 3600.0
"""Seconds of champion traffic on which shadow balance is measured."""


class UserArrivals:
    """Blocks of requests by users who differ; each user stays in one arm during a stage.

    Sums of Poisson counts are Poisson: an arm's share of traffic and its mean error rate are
    enough to draw its counts.
    """

    def __init__(
        self, traffic: Traffic, seconds: float, rng: np.random.Generator, weights: list[float]
    ) -> None:
        self.traffic, self.expected, self.rng = traffic, traffic.rate * seconds, rng
        self.users = traffic.users or Users()
        self.weights = weights
        self.stage_weight = 0.0
        self.unfair: set[int] = set()
        self.arms: dict[float, list[tuple[float, float, float]]] = {w: [] for w in weights}
        self.all: list[float] = []

    def prepare(self, runs: int, margin: float) -> None:
        """Draw every rollout's users and their arms; `unfair` gets rollouts without a fair salt."""
        for run in range(runs):
            share, rate = draw_users(self.users, self.rng)
            places = self._choose(run, share, rate, margin)
            self.all.append(float(share @ rate))
            for weight in self.weights:
                inside = places < weight
                taken = float(share[inside].sum())
                failed = float((share * rate)[inside].sum())
                rest = (self.all[-1] - failed) / max(1 - taken, 1e-12)
                self.arms[weight].append((taken, failed / max(taken, 1e-12), rest))

    def _choose(self, run: int, share: Floats, rate: Floats, margin: float) -> Floats:
        """Return the users' places under the first salt that is fair at every weight."""
        places: list[Floats] = list(self.rng.random((SALTS, len(share))))
        if not self.users.balanced:
            return places[0]
        requests = self.rng.poisson(self.traffic.rate * SHADOW_SECONDS * share).astype(float)
        failures = self.rng.binomial(requests.astype(int), rate).astype(float)
        for salt, place in enumerate(places):
            found = [
                measure_balance(place, requests, failures, (str(salt), weight), margin)
                for weight in self.weights
            ]
            if all(item.is_fair for item in found):
                return place
        self.unfair.add(run)
        return places[0]

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage with the candidate's share of units."""
        self.stage_weight = weight

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Return the next block of the chosen rollouts."""
        added = self.traffic.added_errors(clock)
        if self.stage_weight in (0.0, 1.0):
            share = np.full(len(runs), self.stage_weight)
            rate_c = rate_b = np.array(self.all)[runs]
        else:
            share, rate_c, rate_b = np.array(self.arms[self.stage_weight])[runs].T
        rate_c = np.clip(rate_c + added, 0, 1)
        if self.stage_weight == 0:
            n_c = n_b = self.rng.poisson(self.expected, len(runs))
        else:
            n_c = self.rng.poisson(self.expected * share)
            n_b = self.rng.poisson(self.expected * (1 - share))
        drawn = (n_c, self.rng.binomial(n_c, rate_c), n_b, self.rng.binomial(n_b, rate_b))
        return BlockCounts(*(np.asarray(item, dtype=float) for item in drawn))


class FirstRequestArrivals:
    """Blocks that count only each user's first request of the stage: independent, and few."""

    def __init__(
        self, traffic: Traffic, seconds: float, rng: np.random.Generator, runs: int
    ) -> None:
        self.traffic, self.seconds, self.rng = traffic, seconds, rng
        self.users = [draw_users(traffic.users or Users(), rng) for _ in range(runs)]
        self.places = [rng.random(len(share)) for share, _ in self.users]
        self.block = 0
        self.tables = np.zeros((4, 1, runs))

    def open_stage(self, weight: float, blocks: int) -> None:
        """Draw the time of each user's first request, its arm, and whether it fails."""
        self.tables = np.zeros((4, blocks, len(self.users)))
        self.block = 0
        for run, (share, rate) in enumerate(self.users):
            first = self.rng.exponential(1 / (self.traffic.rate * share)) / self.seconds
            seen = first < blocks
            block = first[seen].astype(int)
            inside = (self.places[run] < weight)[seen] if weight else np.full(len(block), True)
            failed = self.rng.random(len(block)) < rate[seen]
            other = ~inside if weight else inside
            for at, chosen in enumerate((inside, inside & failed, other, other & failed)):
                self.tables[at, :, run] = np.bincount(block[chosen], minlength=blocks)

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Return the next block of the chosen rollouts."""
        n_c, k_c, n_b, k_b = self.tables[:, self.block, runs]
        self.block += 1
        more = np.clip(self.traffic.added_errors(clock), 0, 1)
        k_c = k_c + self.rng.binomial((n_c - k_c).astype(int), more)
        return BlockCounts(n_c, k_c, n_b, k_b)


def draw_users(users: Users, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw each user's share of all requests and error rate."""
    weight = rng.lognormal(0, users.spread, users.count)
    return weight / weight.sum(), rng.beta(users.a, users.b, users.count)
