"""Which arm a unit belongs to: sticky, equal everywhere, and monotone in the candidate's weight.

Only the rollout's salt and the unit decide. So all workers of all replicas agree without asking
each other, and a unit that the candidate had at 5 % stays with it at 25 %. Each rollout has its
own salt, which makes its split independent of every other rollout's.
"""

from hashlib import sha256

DIGITS = 13
"""Hexadecimal digits of 52 bits; a double holds such whole numbers exactly."""
PLACES = 16.0**DIGITS
UNIT_DIGITS = 32


def place_of(salt: str, unit: str) -> float:
    """Return a unit's place in [0, 1): the first 52 bits of sha256(salt:unit), divided by 2^52.

    `place_of("s", "user-1")` is .0697..., on any machine.
    """
    digest = sha256(f"{salt}:{unit}".encode("utf-8", "surrogatepass")).hexdigest()
    return int(digest[:DIGITS], 16) / PLACES


def takes_candidate(place: float, weight: float) -> bool:
    """Whether a place in [0, 1) lies within the candidate's share, 0 to 1."""
    return place < weight


def hash_unit(unit: str) -> str:
    """Return a unit as it is logged: the first 128 bits of its sha256, in hexadecimal digits."""
    return sha256(unit.encode("utf-8", "surrogatepass")).hexdigest()[:UNIT_DIGITS]
