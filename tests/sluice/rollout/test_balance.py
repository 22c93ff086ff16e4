"""Shadow balance: how far the future arms differ under the champion, and which salt is fair."""

from math import inf, sqrt
from typing import Any

import numpy as np
import pytest

from sluice.rollout.balance import THRESHOLD, Balance, choose_salt, compare_ratio, measure_balance
from support.rollouts.counts import VECTORS

PLACES = np.array([0.1, 0.2, 0.5, 0.6, 0.9])
REQUESTS = np.array([100.0, 300.0, 150.0, 50.0, 400.0])
FAILURES = np.array([2.0, 4.0, 1.0, 0.0, 5.0])
# Below .5: 400 requests, 6 failed. From .5 on: 600 requests, 6 failed. Together 12 of 1,000.
ERROR = sqrt(0.012 * 0.988 * (1 / 400 + 1 / 600))


def measure(margin: float, weight: float = 0.5) -> Balance:
    return measure_balance(PLACES, REQUESTS, FAILURES, ("salt", weight), margin)


def test_difference_and_its_standard_error_are_those_of_two_shares() -> None:
    found = measure(0.05)
    assert (found.salt, found.weight) == ("salt", 0.5)
    assert found.difference == pytest.approx(6 / 400 - 6 / 600)
    assert found.error == pytest.approx(ERROR)


@pytest.mark.parametrize(("margin", "limit"), [(0.05, 0.025), (0.005, 3 * ERROR)])
def test_limit_is_half_the_margin_or_three_standard_errors(margin: float, limit: float) -> None:
    assert measure(margin).limit == pytest.approx(limit)


@pytest.mark.parametrize(("difference", "fair"), [(0.02, True), (0.021, False), (-0.021, False)])
def test_a_difference_up_to_the_limit_is_fair(difference: float, fair: bool) -> None:
    assert Balance("salt", 0.05, difference, 0.01, 0.02).is_fair is fair


@pytest.mark.parametrize("weight", [0.05, 0.95])
def test_an_arm_without_requests_is_not_fair(weight: float) -> None:
    found = measure(0.05, weight)
    assert (found.difference, found.error, found.limit) == (inf, inf, 0.025)
    assert not found.is_fair


def test_a_salt_is_chosen_that_is_fair_at_every_weight() -> None:
    def balance(salt: str, weight: float, difference: float) -> Balance:
        return Balance(salt, weight, difference, 0.001, 0.01)

    first = [balance("a", 0.05, 0.0), balance("a", 0.25, 0.02)]
    second = [balance("b", 0.05, 0.0), balance("b", 0.25, -0.01)]
    third = [balance("c", 0.05, 0.0), balance("c", 0.25, 0.0)]
    assert choose_salt([*first, *second, *third]) == "b"
    assert choose_salt(first) == ""


def test_an_arm_without_any_unit_is_evidence_too() -> None:
    """A hundred units and all in one arm: half of them were to be in the other."""
    assert compare_ratio(0, 100, 0.5) == pytest.approx(compare_ratio(100, 0, 0.5))
    assert compare_ratio(100, 0, 0.5) > THRESHOLD
    assert compare_ratio(0, 0, 0.5) == 0


@pytest.mark.parametrize("vector", VECTORS["srm"])
def test_published_sample_ratio(vector: dict[str, Any]) -> None:
    found = compare_ratio(vector["candidate"], vector["champion"], vector["weight"])
    assert found == pytest.approx(vector["log_e"], rel=1e-9)


def test_sample_ratio_holds_at_a_tenth_too_many_and_not_at_the_right_share() -> None:
    assert compare_ratio(5_500, 94_500, 0.05) > THRESHOLD
    assert compare_ratio(5_020, 94_980, 0.05) < 0


@pytest.mark.parametrize("arguments", [(1, 1, 0.0), (1, 1, 1.0), (-1, 5, 0.5)])
def test_impossible_counts_are_refused(arguments: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match="allowed: a weight between 0 and 1"):
        compare_ratio(*arguments)
