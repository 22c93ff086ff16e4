"""A route holds only values that a gateway can follow."""

from dataclasses import replace
from typing import Any

import pytest

from sluice.control.route import Mode, Route

ALONE = Route("employment", 3)
CANARY = Route("employment", 3, 4, 0.05, (0.05, 0.25, 0.5), salt="s", mode=Mode.CANARY)


def test_a_champion_alone_needs_nothing_else() -> None:
    assert (ALONE.mode, ALONE.candidate, ALONE.weight) == (Mode.CHAMPION, None, 0.0)
    assert ALONE.names(3)
    assert not ALONE.names(4)


def test_a_new_champion_ends_what_was_on_trial() -> None:
    followed = CANARY.follow(5)
    assert (followed.champion, followed.candidate, followed.weight) == (5, None, 0.0)
    assert followed.mode is Mode.CHAMPION
    assert followed.stage_weights == CANARY.stage_weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"champion": 0}, "champion: found 0; allowed: 1 and more"),
        ({"weight": 1.5}, "weight: found 1.5; allowed: 0 to 1"),
        ({"weight": float("nan")}, "weight: found nan"),
        ({"shadow_share": -0.1}, "shadow_share: found -0.1"),
        ({"stage_weights": (0.25, 0.05)}, "stage_weights: found .* allowed: ascending"),
        ({"arm_timeout_ms": 0.0}, "arm_timeout_ms: found 0.0"),
        ({"candidate_concurrency": 0}, "candidate_concurrency: found 0"),
        ({"ttl": 0.0}, "ttl: found 0.0"),
        ({"candidate": 3}, "candidate in mode canary: found 3; allowed: a version other than"),
        ({"candidate": None}, "candidate in mode canary: found None"),
        ({"mode": Mode.CHAMPION}, "candidate in mode champion: found 4; allowed: none"),
        ({"mode": Mode.SHADOW}, "weight in mode shadow: found 0.05; allowed: 0"),
        ({"salt": ""}, "salt: found ''"),
    ],
)
def test_values_that_no_gateway_could_follow_are_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"route of employment: {message}"):
        replace(CANARY, **change)
