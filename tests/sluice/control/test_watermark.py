"""A change is told once, and again only where nobody answered in time."""

from datetime import UTC, datetime, timedelta

from sluice.control.watermark import GRACE, Watermark, follow_change

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
NEW = Watermark("work", "data version")
TOLD = Watermark("work", "data version", "v1", NOW)
ANSWERED = Watermark("work", "data version", "v1")


def test_what_was_never_seen_is_told() -> None:
    assert follow_change(NEW, "v1", False, NOW) == TOLD


def test_what_was_answered_unseen_is_not_told() -> None:
    assert follow_change(NEW, "v1", True, NOW) == ANSWERED


def test_what_was_told_is_not_told_before_the_grace_is_over() -> None:
    assert follow_change(TOLD, "v1", False, NOW + GRACE - timedelta(seconds=1)) == TOLD


def test_what_nobody_answered_is_told_again() -> None:
    later = NOW + GRACE
    assert follow_change(TOLD, "v1", False, later) == Watermark("work", "data version", "v1", later)


def test_an_answer_settles_it_for_good() -> None:
    settled = follow_change(TOLD, "v1", True, NOW)
    assert settled == ANSWERED
    assert follow_change(settled, "v1", False, NOW + 9 * GRACE) == settled


def test_the_next_change_is_told_at_once() -> None:
    assert follow_change(ANSWERED, "v2", False, NOW).announced == NOW
    assert follow_change(TOLD, "v2", False, NOW).mark == "v2"
