"""One run takes every delivery of a source, and ends with the first refusal."""

import pyarrow as pa
import pytest
from prefect.logging import disable_run_logger

from sluice.adapters.control.store import prepare_control
from sluice.adapters.tables.delta import append_batch
from sluice.config.loading import load_service
from sluice.control.watermark import GRACE
from sluice.errors import DataInvalid, DataUnavailable, SluiceError
from sluice.home import Home
from tasks.data.ingestion import (
    VERSION,
    IngestOutcome,
    announce_version,
    find_announcement,
)


def run(*deliveries: int | SluiceError) -> IngestOutcome:
    outcome = IngestOutcome()
    with disable_run_logger():
        for item in deliveries:
            with outcome.isolate_refusal():
                if isinstance(item, SluiceError):
                    raise item
                outcome.result = {"version": item}
    return outcome


def test_the_last_version_is_the_result() -> None:
    assert run(1, 2).end() == {"version": 2}


def test_a_refusal_ends_the_run_behind_the_other_deliveries() -> None:
    outcome = run(1, DataInvalid("first"), 2, DataInvalid("second"), 3)
    assert outcome.result == {"version": 3}
    with pytest.raises(DataInvalid, match="first"):
        outcome.end()


def test_an_infrastructure_error_ends_the_run_at_once() -> None:
    with pytest.raises(DataUnavailable):
        run(1, DataUnavailable("the disk"), 2)


def test_data_that_the_caller_releases_is_told_only_where_no_release_answers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr("tasks.data.ingestion.publish_event", lambda *event: told.append(event))
    config, marks = load_service("employment", "development"), prepare_control(home).watermarks
    for number in (0, 1):
        rows = pa.table({"person_id": [2 * number, 2 * number + 1]})
        data = append_batch(home.table("employment"), rows, {"source": f"{number}.csv"})
        announce_version("employment", data, emit=False)
        assert find_announcement(config) is None, "watch would start a release of a half"
    assert told == []
    seen = marks.find("employment", VERSION)
    assert seen.announced is not None
    assert marks.move(seen, seen.announce(seen.mark, seen.announced - GRACE))
    due = find_announcement(config)
    assert due is not None
    assert (due.version, due.is_due) == (1, True)


def test_data_that_nobody_releases_is_told_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr("tasks.data.ingestion.publish_event", lambda *event: told.append(event))
    rows = pa.table({"person_id": [1, 2]})
    data = append_batch(home.table("employment"), rows, {"source": "0.csv"})
    for _ in range(2):
        announce_version("employment", data)
    assert told == [("employment", "data.changed", {"version": 0, "rows": 2})]
