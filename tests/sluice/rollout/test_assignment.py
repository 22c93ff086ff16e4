"""Assignment: equal everywhere, sticky, nested in the weight, fair, independent between salts."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from sluice.rollout.assignment import place_of, takes_candidate

UNITS = [f"user-{number}" for number in range(40_000)]
WEIGHTS = st.floats(0, 1)


@pytest.mark.parametrize(
    ("salt", "unit", "digits"),
    [
        ("s", "user-1", 0x11DA9158D587D),
        ("rollout-7", "42", 0x5987B19A84DA0),
        ("s", "Zoë", 0xF52D620D61E36),
    ],
)
def test_places_are_those_of_the_rule_by_hand(salt: str, unit: str, digits: int) -> None:
    """The first 13 digits, 52 bits, of what `printf %s SALT:UNIT | sha256sum` prints."""
    assert place_of(salt, unit) == digits / 2**52


@given(st.text(), st.text(), WEIGHTS, WEIGHTS)
def test_who_is_in_at_a_small_weight_stays_in_at_a_larger(
    salt: str, unit: str, one: float, other: float
) -> None:
    place = place_of(salt, unit)
    assert 0 <= place < 1
    small, large = sorted((one, other))
    assert not takes_candidate(place, small) or takes_candidate(place, large)


@given(st.text(), st.text())
def test_at_0_nobody_and_at_1_everybody(salt: str, unit: str) -> None:
    place = place_of(salt, unit)
    assert not takes_candidate(place, 0.0)
    assert takes_candidate(place, 1.0)


def test_shares_are_those_asked_for() -> None:
    places = np.array([place_of("rollout-1", unit) for unit in UNITS])
    assert chisquare(np.histogram(places, bins=50, range=(0, 1))[0]).pvalue > 0.001
    for weight in (0.05, 0.25, 0.5):
        taken = int(np.sum(places < weight))
        expected = [weight * len(UNITS), (1 - weight) * len(UNITS)]
        assert chisquare([taken, len(UNITS) - taken], expected).pvalue > 0.001


def test_two_rollouts_are_independent() -> None:
    first, second = (
        np.array([place_of(salt, unit) for unit in UNITS]) for salt in ("rollout-1", "rollout-2")
    )
    table = np.histogram2d(first < 0.25, second < 0.25, bins=2)[0]
    assert chi2_contingency(table).pvalue > 0.001
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_another_process_agrees() -> None:
    code = (
        "from sluice.rollout.assignment import place_of;"
        "print(*(repr(place_of('s', f'user-{n}')) for n in range(100)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [float(item) for item in done.stdout.split()] == [
        place_of("s", f"user-{number}") for number in range(100)
    ]
