"""Streams of `POST /v1/prompts/NAME`: pieces as they come, failures in the middle, callers gone."""

import http.client
import json
import socket
import time
from typing import Any

import pytest

from support.gateway.site import Running, wait_until
from support.llm.answers import FakeAnswer, Fault, refuse
from support.llm.live import find_record, hang_up_after, read_events
from support.llm.provider import FakeProvider

PATH = "/v1/prompts/greet"


def body(**more: Any) -> dict[str, Any]:
    return {"variables": {"person": "Ada"}, "stream": True, **more}


def test_a_stream_begins_with_who_answers_and_ends_with_what_it_took(
    prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("Good day to you, Ada."))
    reply = prompts.ask(PATH, body(request_id="streamed"))
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-request-id"] == "streamed"
    (first, start), *texts, (last, end) = read_events(reply.text)
    assert (first, last) == ("start", "end")
    assert start == {
        "request_id": "streamed",
        "service": "greet",
        "version": 1,
        "arm": "champion",
    }
    assert {name for name, _ in texts} == {"text"}
    assert "".join(data["text"] for _, data in texts) == "Good day to you, Ada."
    assert end["usage"]["output_tokens"] == 7
    assert end["finish_reason"] == "stop"
    record = find_record(prompts, "greet", "streamed")
    assert record.first_byte_ms is not None
    assert 0 < record.first_byte_ms <= record.latency_ms
    assert json.loads(record.outputs)["text"] == "Good day to you, Ada."


def test_pieces_leave_as_they_come(prompts: Running, provider: FakeProvider) -> None:
    provider.reset(FakeAnswer("one two three four", gap_seconds=0.15))
    connection = http.client.HTTPConnection("127.0.0.1", prompts.port, timeout=20)
    connection.request("POST", PATH, json.dumps(body()), {"content-type": "application/json"})
    answer, times = connection.getresponse(), []
    while line := answer.readline():
        if line.startswith(b"event: text"):
            times.append(time.monotonic())
    connection.close()
    assert len(times) == 4
    assert times[-1] - times[0] > 0.3


BROKEN: list[Fault] = ["half", "stall", "unfinished", "error_event", "garbage", "no_usage"]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_failure_in_the_middle_is_an_event_and_a_failure_of_the_arm(
    prompts: Running, provider: FakeProvider, fault: Fault
) -> None:
    provider.reset(FakeAnswer("one two three four five six", fault=fault))
    reply = prompts.ask(PATH, body(request_id=f"broken-{fault}"))
    events = read_events(reply.text)
    assert reply.status == 200
    assert events[0][0] == "start"
    name, error = events[-1]
    assert name == "error"
    assert "provider 'anthropic'" in error["error"]
    record = find_record(prompts, "greet", f"broken-{fault}")
    assert (record.failed, record.reason) == (True, "unavailable")
    assert record.input_tokens == 11  # what was told before it broke off
    assert "one" in json.loads(record.outputs)["text"]


def test_before_the_first_piece_a_failure_has_its_status(
    prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(refuse(500))
    reply = prompts.ask(PATH, body())
    assert reply.status == 503
    assert reply.headers["content-type"] == "application/json"


def test_a_caller_that_goes_away_is_logged_and_its_call_ends(
    prompts: Running, provider: FakeProvider
) -> None:
    words = " ".join(["word"] * 100)
    provider.reset(FakeAnswer(words, gap_seconds=0.3))
    hang_up_after(prompts, PATH, body(request_id="gone"), b"event: text")
    record = find_record(prompts, "greet", "gone")
    assert (record.failed, record.reason) == (False, "caller_gone")
    assert 0 < record.latency_ms < 30_000, "the whole answer takes as long"
    assert record.input_tokens == 11


def test_a_caller_that_goes_away_before_a_whole_answer_is_logged_too(
    prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("late", seconds=1.0))
    content = {"variables": "Ada", "request_id": "gone-early"}
    text = json.dumps(content).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", prompts.port), 20) as connection:
        connection.sendall(f"{head}content-length: {len(text)}\r\n\r\n".encode() + text)
        wait_until(lambda: provider.asked, 10)
    record = find_record(prompts, "greet", "gone-early")
    assert (record.failed, record.reason) == (False, "caller_gone")
