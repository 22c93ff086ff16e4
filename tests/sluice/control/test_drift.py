"""A state of drift is refused where it is not complete."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sluice.control.drift import DriftedFeature, DriftState, WindowOutcome
from sluice.errors import DataInvalid

END = datetime(2026, 11, 30, 12, tzinfo=UTC)
STATE = DriftState(
    *("town", "data", "training", 3), END - timedelta(hours=1), END, WindowOutcome.ALARM
)


def test_a_complete_state_is_accepted() -> None:
    feature = DriftedFeature("age", {"psi": 0.3, "js": None}, "significant", ("distribution",))
    state = replace(STATE, features=(feature,))
    assert state.check() is state


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "moon"}, "kind: found 'moon'; allowed: data, joint"),
        ({"start": END}, "allowed: an end after the start"),
        ({"features": (DriftedFeature("age", {"psi": float("nan")}),)}, "psi of age: found nan"),
        ({"features": (DriftedFeature("age", {"js": float("inf")}),)}, "js of age: found inf"),
        ({"features": (DriftedFeature("age"),) * 11}, "features: found 11; allowed: 10 at most"),
    ],
)
def test_what_is_not_complete_is_refused_by_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(DataInvalid, match="drift of town: ") as refused:
        replace(STATE, **change).check()  # type: ignore[arg-type]
    assert words in str(refused.value)
