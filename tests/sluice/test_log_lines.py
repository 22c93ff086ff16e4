"""A log line is one JSON object with the fields that are searched by, and no data of a caller."""

import json
import logging
import sys
from typing import Any

import pytest

from sluice.errors import ConfigInvalid
from sluice.log_lines import MOST_BYTES, LineFormatter, bind_fields, render_entry

FORMATTER = LineFormatter("worker w0")
CARD = "4111 1111 1111 1111"


def write(message: str, *arguments: Any, error: BaseException | None = None, **extra: Any) -> Any:
    trace = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(
        "sluice.gateway", logging.WARNING, "app.py", 1, message, arguments, trace
    )
    record.created = 1_795_000_000.25
    vars(record).update(extra)
    line = FORMATTER.format(record)
    assert "\n" not in line
    assert len(line.encode()) < MOST_BYTES
    return json.loads(line)


def raise_it(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as raised:
        return raised


def test_message_has_time_level_process_and_logger() -> None:
    assert write("%s: %d workers", "gateway", 2) == {
        "time": "2026-11-18T11:06:40.250Z",
        "level": "warning",
        "process": "worker w0",
        "logger": "sluice.gateway",
        "message": "gateway: 2 workers",
    }


def test_fields_of_the_message_and_of_the_block_are_in_the_line() -> None:
    with bind_fields(service="employment", run_id="1"), bind_fields(run_id="2"):
        entry = write("done", trace_id="4bf9", version=3, arm=None)
    assert (entry["service"], entry["run_id"]) == ("employment", "2")
    assert (entry["trace_id"], entry["version"]) == ("4bf9", 3)
    assert "arm" not in entry
    assert "service" not in write("done")


def test_fields_of_a_prefect_message_have_our_names() -> None:
    entry = write("done", flow_run_id="7", flow_run_name="x", flow_name="y", task_run_name="z")
    assert [entry[name] for name in ("run_id", "run", "flow", "task")] == ["7", "x", "y", "z"]


def test_traceback_is_a_field_with_the_causes() -> None:
    cause = raise_it(FileNotFoundError(2, "No such file", "/a"))
    entry = write("failed", error=raise_it(ConfigInvalid("a.yaml: no key"), cause))
    assert entry["error"] == "ConfigInvalid"
    assert "ConfigInvalid: a.yaml: no key\ncaused by\n" in entry["traceback"]
    assert "in raise_it" in entry["traceback"]
    assert entry["traceback"].endswith("FileNotFoundError: [Errno 2] No such file: '/a'")


def test_text_of_an_error_that_is_not_ours_is_left_out() -> None:
    error = raise_it(ValueError(f"could not convert string to float: '{CARD}'"))
    entries = (
        write("a request failed: %s", error, error=error),
        write("Task run failed with exception: %r - Retries are exhausted", error),
        write(f"Encountered exception during execution: {error!r}", error=error),
        write(f"Finished in state Failed('Flow run encountered an exception: ValueError: {CARD}"),
    )
    assert CARD not in json.dumps(entries)
    assert entries[0]["message"] == "a request failed: ValueError"
    assert entries[1]["message"].endswith("exception: ValueError - Retries are exhausted")
    assert entries[3]["message"].endswith("encountered an exception: ValueError")


def test_chain_that_leads_to_itself_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert write("failed", error=first)["traceback"] == "ValueError\ncaused by\nKeyError"


def test_long_traceback_loses_its_middle_and_a_long_message_too() -> None:
    error = raise_it(ConfigInvalid("the bottom"))
    for _ in range(40):
        error = raise_it(ConfigInvalid("above it"), error)
    entry = write("x" * 3000, error=error)
    assert entry["message"] == "x" * 3000
    assert " [...] " in entry["traceback"]
    assert entry["traceback"].endswith("the bottom")
    assert len(write("ü" * 5000)["message"]) < MOST_BYTES // 6


@pytest.mark.parametrize("text", ["\ud800", "\0", "a\nb\r\u2028c", '"{}\\'])
def test_any_text_is_one_line_of_ascii(text: str) -> None:
    line = render_entry({"message": text})
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["message"] == text


def test_value_that_json_does_not_know_is_written_as_text() -> None:
    assert json.loads(render_entry({"version": sys.version_info})) is not None
    assert json.loads(render_entry({"service": ConfigInvalid("x")}))["service"] == "x"
