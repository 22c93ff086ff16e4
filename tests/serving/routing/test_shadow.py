"""When a candidate's answer in shadow differs from the champion's."""

from math import nan

import pytest

from serving.models.signature import Prediction
from serving.routing.shadow import differ


@pytest.mark.parametrize(
    ("champion", "candidate", "tolerance", "expected"),
    [
        (["yes", "no"], ["yes", "no"], 0.0, False),
        (["yes", "no"], ["yes", "yes"], 5.0, True),
        ([True], [False], 5.0, True),
        ([10.0, 20.0], [10.0, 20.5], 0.0, True),
        ([10.0, 20.0], [10.0, 20.5], 0.5, False),
        ([10.0, 20.0], [10.0, 20.6], 0.5, True),
        ([10.0], [nan], 5.0, True),
    ],
)
def test_classes_must_be_equal_and_numbers_within_the_tolerance(
    champion: list[str | float], candidate: list[str | float], tolerance: float, expected: bool
) -> None:
    one, other = ([Prediction(item) for item in items] for items in (champion, candidate))
    assert differ(one, other, tolerance) is expected


def test_other_probabilities_alone_are_no_difference() -> None:
    one, other = Prediction("yes", {"yes": 0.9}), Prediction("yes", {"yes": 0.6})
    assert not differ([one], [other], 0.0)
