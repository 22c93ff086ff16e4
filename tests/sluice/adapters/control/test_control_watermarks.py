"""Watermarks on a real database: moved only from where they were seen."""

from datetime import UTC, datetime

from sluice.adapters.control.store import Control
from sluice.control.watermark import Watermark

NOW = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
NEW = Watermark("work", "data version")


def test_what_was_never_moved_is_new(control: Control) -> None:
    assert control.watermarks.find("work", "data version") == NEW
    assert control.watermarks.list_marks("work") == {}


def test_what_was_moved_is_found_as_it_was_written(control: Control) -> None:
    announced = NEW.announce("v1", NOW)
    assert control.watermarks.move(NEW, announced)
    assert control.watermarks.find("work", "data version") == announced
    assert control.watermarks.move(announced, announced.settle("v1"))
    assert control.watermarks.find("work", "data version").announced is None


def test_of_two_that_saw_the_same_one_moves_it(control: Control) -> None:
    announced = NEW.announce("v1", NOW)
    assert control.watermarks.move(NEW, announced)
    assert not control.watermarks.move(NEW, NEW.announce("v2", NOW))
    assert control.watermarks.move(announced, announced.announce("v2", NOW))
    assert not control.watermarks.move(announced, announced.announce("v3", NOW))
    assert control.watermarks.find("work", "data version").mark == "v2"


def test_marks_are_listed_by_service(control: Control) -> None:
    for service, what in (("work", "file /a"), ("work", "file /b"), ("play", "file /a")):
        seen = Watermark(service, what)
        assert control.watermarks.move(seen, seen.settle(f"{service} {what}"))
    assert control.watermarks.list_marks("work") == {
        "file /a": "work file /a",
        "file /b": "work file /b",
    }
