"""How many requests a provider gets at a time: halved when it is too busy, then grown slowly.

Additive increase, multiplicative decrease (Chiu and Jain 1989).
"""

FEWEST = 1.0


class Pace:
    """The limit of requests at a time, between 1 and `most`; it starts at `most`.

    A request takes the number of the present round when it begins. A 429 halves the limit and
    begins the next round, and other 429s of the round before do not count: they are of the same
    moment.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._limit = float(most)
        self.round = 0
        """How often the limit was halved."""

    @property
    def limit(self) -> int:
        """Most requests at a time now."""
        return int(self._limit)

    def count_success(self) -> None:
        """Let the limit grow: by one for as many successes as it allows requests."""
        self._limit = min(float(self.most), self._limit + 1 / self._limit)

    def count_refusal(self, began: int) -> bool:
        """Halve the limit after a 429 of a request that began in a round; return whether it did."""
        if began < self.round:
            return False
        self._limit = max(FEWEST, self._limit / 2)
        self.round += 1
        return True
