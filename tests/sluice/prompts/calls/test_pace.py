"""How many requests at a time: halved by 429, grown slowly by successes."""

from hypothesis import given
from hypothesis import strategies as st

from sluice.prompts.calls.pace import Pace


def test_a_429_halves_the_limit_once_for_all_requests_of_its_round() -> None:
    pace = Pace(16)
    assert pace.count_refusal(0)
    assert not pace.count_refusal(0)
    assert pace.limit == 8
    assert pace.count_refusal(1)
    assert pace.limit == 4


def test_the_limit_grows_by_about_one_in_as_many_successes() -> None:
    pace = Pace(16)
    pace.count_refusal(0)
    for _ in range(9):
        pace.count_success()
    assert pace.limit == 9
    for _ in range(1000):
        pace.count_success()
    assert pace.limit == 16


@given(st.integers(1, 100), st.lists(st.booleans(), max_size=200))
def test_the_limit_stays_between_one_and_the_most(most: int, ends: list[bool]) -> None:
    pace = Pace(most)
    for is_success in ends:
        pace.count_success() if is_success else pace.count_refusal(pace.round)
        assert 1 <= pace.limit <= most
