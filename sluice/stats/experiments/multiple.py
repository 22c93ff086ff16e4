"""Several metrics at once: Holm's correction."""

from collections.abc import Sequence


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given; one below alpha is significant.

    The chance of any false finding stays below alpha, whatever the tests have in common (Holm
    1979). `adjust_p_values([.01, .04])` is [.02, .04].
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
