"""A person's exceptions for versions that did not pass their gates stay for good."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from sluice.adapters.control.database import Database
from sluice.adapters.control.store import Control
from sluice.errors import CommandRefused, SluiceError
from sluice.home import Home

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_an_exception_is_recorded_with_who_and_why(control: Control) -> None:
    control.admissions.make_exception("town", 3, " Ada ", "an outage", NOW)
    [made] = control.admissions.list_exceptions("town")
    assert (made.version, made.by, made.reason, made.at) == (3, "Ada", "an outage", NOW)
    assert control.admissions.judge("town", 3, {}).ground == "an exception by Ada: an outage"
    assert control.admissions.judge("town", 2, {}).objection


@pytest.mark.parametrize(("by", "reason"), [("", "an outage"), ("Ada", " ")])
def test_an_exception_needs_a_name_and_a_reason(control: Control, by: str, reason: str) -> None:
    with pytest.raises(CommandRefused, match="needed: a name and a reason"):
        control.admissions.make_exception("town", 3, by, reason, NOW)
    assert control.admissions.list_exceptions("town") == []


@pytest.mark.parametrize(
    "change", ["UPDATE gate_exceptions SET version = 9", "DELETE FROM gate_exceptions"]
)
def test_nobody_changes_an_exception(store: Home, control: Control, change: str) -> None:
    control.admissions.make_exception("town", 3, "Ada", "an outage", NOW)
    engine = Database(store.control_url).engine
    with (
        pytest.raises((SQLAlchemyError, SluiceError), match="only appended"),
        engine.begin() as connection,
    ):
        connection.execute(text(change))
