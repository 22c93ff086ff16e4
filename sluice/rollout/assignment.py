"""Which arm a unit belongs to: sticky, equal everywhere, and monotone in the candidate's weight.

Nothing but the rollout's salt and the unit decides, so that every worker of every replica agrees
without asking another, and a unit that the candidate had at 5 % stays with it at 25 %. A salt of
its own makes each rollout's split independent of every other's.
"""

from hashlib import sha256

DIGITS = 13
"""Hexadecimal digits of 52 bits: whole numbers that a double holds exactly."""
PLACES = 16.0**DIGITS


def place_of(salt: str, unit: str) -> float:
    """Give a unit's place in [0, 1): the first 52 bits of sha256(salt:unit), divided by 2^52.

    `place_of("s", "user-1")` is .0697..., on any machine.
    """
    digest = sha256(f"{salt}:{unit}".encode("utf-8", "surrogatepass")).hexdigest()
    return int(digest[:DIGITS], 16) / PLACES


def takes_candidate(place: float, weight: float) -> bool:
    """Whether a place in [0, 1) lies within the candidate's share, 0 to 1."""
    return place < weight
