"""Lineage of runs: what is told, in which order, and that nothing of it can stop a flow."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from prefect.logging import disable_run_logger

from sluice.adapters.telemetry.lineage import LineageSender, is_configured, name_file
from sluice.lineage import DataSet
from sluice.verdict import Check, Outcome, Verdict
from support.lineage.receiver import Receiver, check_required, read_event, receive_events
from tasks.run import lineage
from tasks.run.lineage import (
    note_abort,
    note_input,
    note_output,
    note_parent,
    note_verdict,
    track_lineage,
)

TABLE = DataSet("file", "/data/town/table", "3", {"id": "integer", "y": "text"}, 1_200)
MODEL = DataSet("sluice/registry", "town", "4")
PARENT = "01234567-89ab-cdef-0123-456789abcdef"
VARIABLES = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED", "OPENLINEAGE_API_KEY")


class FakeRun:
    """What Prefect's runtime says of the flow run under way."""

    def __init__(self, flow: str) -> None:
        self.id, self.flow_name = uuid.uuid4(), flow
        self.parameters = {"service": "town", "cause": "a test"}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with disable_run_logger():
        yield


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receive_events() as found:
        monkeypatch.setenv("OPENLINEAGE_URL", found.url)
        yield found


def make_verdict(gate: str, *outcomes: Outcome) -> Verdict:
    checks = tuple(Check(f"check {at}", outcome) for at, outcome in enumerate(outcomes))
    return Verdict(gate, Outcome.PASS, checks, "a test", "")


def run_flow(steps: Any, flow: str = "release") -> FakeRun:
    """Run steps as a flow run that is told."""
    run = FakeRun(flow)
    with patch.object(lineage, "flow_run", run), track_lineage("flows/release.py") as result:
        result.append(steps())
    return run


def fail(error: BaseException) -> Any:
    def steps() -> None:
        note_input(TABLE)
        raise error

    return steps


def test_a_run_is_told_with_what_it_read_and_wrote(receiver: Receiver) -> None:
    def steps() -> None:
        note_parent(PARENT, "ingest")
        note_input(TABLE)
        note_verdict(make_verdict("data", Outcome.PASS, Outcome.FAIL, Outcome.LISTED))
        note_verdict(make_verdict("bias", Outcome.PASS))
        note_output(MODEL)

    run = run_flow(steps)
    assert receiver.list_types() == ["START", "COMPLETE"]
    for item in receiver.events:
        check_required(item)
        assert item["run"]["runId"] == str(run.id)
    event = read_event(receiver.events[-1])
    assert (event.job.namespace, event.job.name) == ("sluice", "release.town")
    assert event.job.facets["sourceCodeLocation"].path == "flows/release.py"
    [table], [model] = event.inputs, event.outputs
    assert table.facets["version"].datasetVersion == "3"
    fields = receiver.events[-1]["inputs"][0]["facets"]["schema"]["fields"]
    assert [(item["name"], item["type"]) for item in fields] == [("id", "integer"), ("y", "text")]
    checks = receiver.events[-1]["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [item["success"] for item in checks] == [True, False]
    assert (model.namespace, model.name) == ("sluice/registry", "town")
    assert receiver.events[-1]["run"]["facets"]["parent"]["run"]["runId"] == PARENT
    tags = {
        item["key"]: item["value"] for item in receiver.events[-1]["run"]["facets"]["tags"]["tags"]
    }
    assert tags["gate.bias"] == "pass"
    assert tags["cause"] == "a test"


@pytest.mark.parametrize(
    ("error", "told"),
    [(ValueError("no rows"), "FAIL"), (KeyboardInterrupt("cancelled"), "ABORT")],
)
def test_a_failed_run_says_why_and_a_cancelled_one_is_aborted(
    receiver: Receiver, error: BaseException, told: str
) -> None:
    with pytest.raises(type(error)):
        run_flow(fail(error))
    assert receiver.list_types() == ["START", told]
    check_required(receiver.events[-1])
    found = read_event(receiver.events[-1]).run.facets["errorMessage"]
    assert found.message == f"{type(error).__name__}: {error}"


def test_a_run_that_failed_before_it_read_anything_has_a_start_too(receiver: Receiver) -> None:
    def steps() -> None:
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        run_flow(steps)
    assert receiver.list_types() == ["START", "FAIL"]


def test_a_skipped_run_and_other_flows_are_not_told(receiver: Receiver) -> None:
    run_flow(lambda: "nothing to do")
    run_flow(lambda: note_input(TABLE), "keeper")
    assert receiver.events == []


def test_what_a_person_gave_up_is_aborted(receiver: Receiver) -> None:
    run_flow(lambda: [note_input(TABLE), note_abort("not needed any more")], "rollout")
    assert receiver.list_types() == ["START", "ABORT"]
    found = receiver.events[-1]["run"]["facets"]["errorMessage"]
    assert found["message"] == "not needed any more"


def test_the_same_data_set_again_is_one(receiver: Receiver) -> None:
    def steps() -> None:
        note_input(TABLE)
        note_input(DataSet("file", "/data/town/table", "4"))

    run_flow(steps)
    assert receiver.list_types() == ["START", "COMPLETE"]
    [table] = receiver.events[-1]["inputs"]
    assert table["facets"]["version"]["datasetVersion"] == "4"


def test_the_key_is_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "a-key")
    monkeypatch.setenv("OPENLINEAGE_ENDPOINT", "other/lineage")
    run_flow(lambda: note_input(TABLE))
    assert set(receiver.requests) == {("/other/lineage", "Bearer a-key")}
    assert [name for name in os.environ if name.startswith("OPENLINEAGE__")] == []


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_endpoint_that_refuses_costs_one_warning(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = _collect_warnings(monkeypatch)
    with receive_events(status) as found:
        monkeypatch.setenv("OPENLINEAGE_URL", found.url)
        run_flow(lambda: [note_input(TABLE), note_output(MODEL)])
    assert len(found.events) == 1
    assert len(warned) == 1
    assert str(status) in warned[0]


def test_an_endpoint_that_is_away_or_silent_costs_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warned = _collect_warnings(monkeypatch)
    # pragma: allowlist nextline secret
    monkeypatch.setenv("OPENLINEAGE_URL", "http://user:secret@127.0.0.1:9")
    run_flow(lambda: [note_input(TABLE), note_output(MODEL)])
    monkeypatch.setattr("sluice.adapters.telemetry.lineage.SEND_SECONDS", 0.2)
    with receive_events(delay=3.0) as found:
        monkeypatch.setenv("OPENLINEAGE_URL", found.url)
        run_flow(lambda: [note_input(TABLE), note_output(MODEL)])
    assert len(warned) == 2
    assert "OPENLINEAGE_URL 127.0.0.1:9: " in warned[0]
    assert "secret" not in warned[0]
    assert "no answer within" in warned[1]


def test_an_address_that_is_none_costs_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warned = _collect_warnings(monkeypatch)
    monkeypatch.setenv("OPENLINEAGE_URL", "nowhere")
    run_flow(lambda: note_input(TABLE))
    assert len(warned) == 1


def test_without_the_extra_it_is_said_how_to_install_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sluice.adapters.telemetry.lineage.importlib.util.find_spec", lambda _: None
    )
    warned = _collect_warnings(monkeypatch)
    run_flow(lambda: note_input(TABLE))
    assert len(warned) == 1
    assert "openlineage-python is not installed; next: `uv pip install" in warned[0]


def test_a_fact_that_cannot_be_noted_ends_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = _collect_warnings(monkeypatch)
    run_flow(lambda: [note_parent("no uuid", "ingest"), note_input(TABLE)])
    assert receiver.list_types() == ["START", "COMPLETE"]
    assert len(warned) == 1


def test_what_decides_is_the_environment() -> None:
    assert not is_configured({})
    assert not is_configured({"OPENLINEAGE_URL": " "})
    assert is_configured({"OPENLINEAGE_URL": "http://x"})
    assert is_configured({"OPENLINEAGE__TRANSPORT__TYPE": "console"})
    assert is_configured({"OPENLINEAGE_CONFIG": "openlineage.yml"})
    assert not is_configured({"OPENLINEAGE_URL": "http://x", "OPENLINEAGE_DISABLED": "True"})


def test_data_sets_are_named_as_the_specification_says() -> None:
    assert name_file("/data/rows.csv").key == ("file", "/data/rows.csv")
    # pragma: allowlist nextline secret
    found = name_file("s3://user:secret@bucket/rows/2026.parquet?token=x")
    assert found.key == ("s3://bucket", "/rows/2026.parquet")


def test_nothing_is_imported_where_it_is_off() -> None:
    code = (
        "import sys\nfrom tasks.run import lineage\n"
        "with lineage.track_lineage('f') as result: result.append(1)\n"
        "print([name for name in sys.modules if name.startswith('openlineage')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_sender_that_failed_sends_no_more() -> None:
    sender = LineageSender(problem="away")
    with suppress(AttributeError):
        sender.send(None, None, None)  # type: ignore[arg-type]
    assert sender.problem == "away"


def _collect_warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    warned: list[str] = []

    class Log:
        def warning(self, text: str, *values: object) -> None:
            warned.append(text % values)

    monkeypatch.setattr(lineage, "get_run_logger", Log)
    return warned
