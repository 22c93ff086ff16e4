"""Ids that the gateway gives."""

from serving.http.requests import BLOCK, DIGITS, RequestIds


def test_ids_are_of_one_length_and_never_twice() -> None:
    supplies = RequestIds(), RequestIds()
    taken = [supply.take() for _ in range(3 * BLOCK) for supply in supplies]
    assert len(set(taken)) == len(taken)
    assert {len(item) for item in taken} == {DIGITS}
