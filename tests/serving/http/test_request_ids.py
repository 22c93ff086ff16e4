"""Request ids that the gateway makes."""

from serving.http.requests import ID_BLOCK, ID_DIGITS, RequestIds


def test_ids_are_of_one_length_and_never_twice() -> None:
    supplies = RequestIds(), RequestIds()
    taken = [supply.take() for _ in range(3 * ID_BLOCK) for supply in supplies]
    assert len(set(taken)) == len(taken)
    assert {len(item) for item in taken} == {ID_DIGITS}
