"""The section `drift` of a service's file is strict, and no part of the fingerprint."""

from typing import Any

import pytest
from pydantic import ValidationError

from sluice.config.loading import hash_service, load_service
from sluice.config.monitoring.drift import DriftConfig


def test_how_a_service_is_watched_is_no_part_of_its_fingerprint() -> None:
    config = load_service("employment", "development")
    other = config.model_copy(update={"drift": DriftConfig(reference="trailing")})
    assert other.model_dump(mode="json")["drift"]["reference"] == "trailing"
    assert hash_service(other) == hash_service(config)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"refrence": "training"}, "Extra inputs are not permitted"),
        ({"reference": "yesterday"}, "Input should be 'training', 'trailing' or 'same_weekday'"),
        ({"alarms": 4}, "found 4, allowed: 1 to 3 windows"),
        ({"window_hours": 0}, "greater than or equal to 0.005"),
        ({"trailing_days": float("nan")}, "finite number"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DriftConfig(**given)
