"""A window that a person names is read, or refused with what is allowed."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.config.monitoring.drift import DriftConfig
from sluice.drift.live.requests import read_window
from sluice.errors import ConfigInvalid

NOW = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hours"), [("6 h", 6), ("6h", 6), ("90 min", 1.5), ("2 d", 48), ("0.5 h", 0.5)]
)
def test_a_length_ends_now(text: str, hours: float) -> None:
    found = read_window(text, DriftConfig(), NOW)
    assert (found.start, found.end) == (NOW - timedelta(hours=hours), NOW)


def test_a_start_and_an_end_without_a_zone_are_utc() -> None:
    found = read_window("2026-11-20T10..2026-11-20T14:00:00+02:00", DriftConfig(), NOW)
    assert found.describe() == "2026-11-20 10:00 to 12:00 UTC"


def test_no_window_is_the_newest_of_the_schedule() -> None:
    assert read_window("", DriftConfig(), NOW).describe() == "2026-11-23 11:00 to 12:00 UTC"


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "6",
        "6 weeks",
        "-1 h",
        "0 h",
        "a..b",
        "2026-11-21..2026-11-20",
        "900000 d",
        "0001-01-01T00:00+14:00..2026-11-20",
    ],
)
def test_another_text_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"window: found .* allowed: "):
        read_window(text, DriftConfig(), NOW)
