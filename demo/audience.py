"""Who asks: a new user each time, or a crowd of whom few ask often and many seldom."""

from dataclasses import dataclass

import numpy as np

SLOPE = 1.1
"""The user of rank r asks in proportion to r^-SLOPE, as readers and buyers do."""
DRAWN = 4096


@dataclass(frozen=True)
class Asker:
    """One request's unit, and the held-out row that it asks about."""

    unit: str
    row: int


class Audience:
    """A seeded stream of askers; the same seed gives the same stream.

    Without users every request is somebody new, with the rows in a shuffled order, over and over.
    With users each is one person, a row of their own: who meets a fault once meets it every time.
    """

    def __init__(self, rows: int, users: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._rows, self._users, self._seed = rows, users, seed
        self._order = self._rng.permutation(rows)
        shares = np.arange(1, users + 1, dtype=np.float64) ** -SLOPE
        self._edges = np.cumsum(shares) / shares.sum() if users else shares
        self._drawn: list[int] = []
        self._count = 0

    def take(self) -> Asker:
        """Give the next asker."""
        if self._users:
            user = self._draw_user()
            return Asker(f"user-{self._seed}-{user}", int(self._order[user % self._rows]))
        place, self._count = self._count, self._count + 1
        return Asker(f"guest-{self._seed}-{place}", int(self._order[place % self._rows]))

    def _draw_user(self) -> int:
        if not self._drawn:
            places = np.searchsorted(self._edges, self._rng.random(DRAWN), side="right")
            self._drawn = np.minimum(places, self._users - 1).tolist()[::-1]
        return self._drawn.pop()
