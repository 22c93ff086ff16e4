"""A change is announced once, and again only if it was not handled in time."""

from datetime import UTC, datetime, timedelta

from sluice.control.watermark import GRACE, Watermark, follow_change

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
NEW = Watermark("work", "data version")
ANNOUNCED = Watermark("work", "data version", "v1", NOW)
HANDLED = Watermark("work", "data version", "v1")


def test_a_new_mark_is_announced() -> None:
    assert follow_change(NEW, "v1", False, NOW) == ANNOUNCED


def test_a_new_mark_that_is_handled_already_is_not_announced() -> None:
    assert follow_change(NEW, "v1", True, NOW) == HANDLED


def test_an_announced_mark_is_not_announced_again_within_the_grace() -> None:
    assert follow_change(ANNOUNCED, "v1", False, NOW + GRACE - timedelta(seconds=1)) == ANNOUNCED


def test_a_mark_that_is_not_handled_is_announced_again() -> None:
    later = NOW + GRACE
    assert follow_change(ANNOUNCED, "v1", False, later) == Watermark(
        "work", "data version", "v1", later
    )


def test_a_handled_mark_is_settled_permanently() -> None:
    settled = follow_change(ANNOUNCED, "v1", True, NOW)
    assert settled == HANDLED
    assert follow_change(settled, "v1", False, NOW + 9 * GRACE) == settled


def test_the_next_change_is_announced_at_once() -> None:
    assert follow_change(HANDLED, "v2", False, NOW).announced == NOW
    assert follow_change(ANNOUNCED, "v2", False, NOW).mark == "v2"
