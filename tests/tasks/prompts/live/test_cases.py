"""Answers with bad feedback: offered once, masked, and written into the set by a person."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving.log.records import Answer, Feedback
from sluice.errors import CommandRefused, PromptInvalid
from sluice.home import Home
from sluice.prompts.cases import read_eval_set
from support.monitoring import NOON
from support.prompts import write_prompt
from support.traffic import TrafficWriter
from tasks.prompts.live.cases import accept_case, drop_case, list_candidates

ADA = ("Ada", "the answer was rude")
AT = NOON.timestamp()
MAIL = "ada@example.org"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "prompts"
    write_prompt(root, [{"input": "Al"}, {"input": {"person": "Bea"}, "expected": "Hi"}])
    return root


@pytest.fixture
def traffic(home: Home) -> TrafficWriter:
    return TrafficWriter(home)


def answered(traffic: TrafficWriter, persons: Sequence[str]) -> list[Answer]:
    """Log an answer to each person, as the gateway does; return the records."""
    records = [
        traffic.make(
            NOON,
            number,
            service="greet",
            version=1,
            inputs=json.dumps({"variables": {"person": person}}).encode(),
            outputs=json.dumps({"text": f"Go away, {person}."}).encode(),
        )
        for number, person in enumerate(persons)
    ]
    traffic.write(records)
    return records


def rate(traffic: TrafficWriter, request_id: str, second: float = 10, **parts: Any) -> None:
    values = {"service": "greet", **parts}
    traffic.write([Feedback(request_id, AT + second, **values)])


def test_bad_feedback_offers_an_answer_and_good_feedback_does_not(
    home: Home, traffic: TrafficWriter, root: Path
) -> None:
    first, second, third = answered(traffic, ["Cy", "Di", "Ed"])
    rate(traffic, first.request_id, rating=-1.0)
    rate(traffic, second.request_id, rating=1.0)
    rate(traffic, third.request_id, label='"Hello, Ed."', service="")
    found = list_candidates("greet", home, root)
    assert [item.request_id for item in found] == [third.request_id, first.request_id]
    assert (found[0].correction, found[0].rating) == ("Hello, Ed.", None)
    rate(traffic, first.request_id, 20, rating=1.0)
    assert [item.input for item in list_candidates("greet", home, root)] == [{"person": "Ed"}]


def test_personal_data_is_masked_before_anyone_sees_it(
    home: Home, traffic: TrafficWriter, root: Path
) -> None:
    (record,) = answered(traffic, [f"Cy ({MAIL})"])
    rate(traffic, record.request_id, rating=-1.0, label=f'"Write to {MAIL}"')
    (found,) = list_candidates("greet", home, root)
    assert (found.input, found.masked) == ({"person": "Cy ([email])"}, ("email",))
    done = accept_case("greet", record.request_id, home, ADA, f"ask {MAIL}", root)
    text = done.path.read_text()
    assert MAIL not in text
    assert "ask [email]" in text


def test_an_accepted_case_is_the_last_line_and_changes_the_identity(
    home: Home, traffic: TrafficWriter, root: Path
) -> None:
    (record,) = answered(traffic, ["Cy"])
    rate(traffic, record.request_id, rating=-1.0, label='"Hello, Cy."')
    before = (root / "greet" / "eval_set.jsonl").read_text()
    done = accept_case("greet", record.request_id, home, ADA, root=root)
    assert done.path.read_text().startswith(before)
    found = read_eval_set(done.path)
    assert (found.cases[-1].expected, found.cases[-1].tags) == ("Hello, Cy.", ("feedback",))
    assert (done.line, done.after) == (3, found.identity)
    assert done.before != done.after
    assert list_candidates("greet", home, root) == []
    with pytest.raises(CommandRefused, match="no candidate; allowed: none waits"):
        accept_case("greet", record.request_id, home, ADA, root=root)


def test_a_dropped_candidate_is_not_offered_again(
    home: Home, traffic: TrafficWriter, root: Path
) -> None:
    (record,) = answered(traffic, ["Cy"])
    rate(traffic, record.request_id, rating=-1.0)
    with pytest.raises(CommandRefused, match="drop: found no name"):
        drop_case("greet", record.request_id, home, ("", "why"), root)
    drop_case("greet", record.request_id, home, ADA, root)
    assert list_candidates("greet", home, root) == []


def test_an_input_that_is_a_case_already_is_not_offered(
    home: Home, traffic: TrafficWriter, root: Path
) -> None:
    (record,) = answered(traffic, ["Bea"])
    rate(traffic, record.request_id, rating=-1.0)
    assert list_candidates("greet", home, root) == []


def test_a_case_that_no_version_can_take_is_refused_and_nothing_is_written(
    home: Home, traffic: TrafficWriter, root: Path
) -> None:
    record = traffic.make(NOON, service="greet", inputs=b'{"variables": {"who": "Cy"}}')
    traffic.write([record])
    rate(traffic, record.request_id, rating=-1.0)
    before = (root / "greet" / "eval_set.jsonl").read_text()
    with pytest.raises(PromptInvalid, match="input: v1"):
        accept_case("greet", record.request_id, home, ADA, root=root)
    assert (root / "greet" / "eval_set.jsonl").read_text() == before
    assert len(list_candidates("greet", home, root)) == 1


def test_persons_who_accept_at_once_lose_no_case(
    home: Home, traffic: TrafficWriter, root: Path
) -> None:
    records = answered(traffic, [f"Person {number}" for number in range(6)])
    traffic.write(
        [Feedback(item.request_id, AT + 10, rating=-1.0, service="greet") for item in records]
    )
    with ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit(accept_case, "greet", item.request_id, home, ADA, root=root)
            for item in records
        ]
        lines = sorted(job.result().line for job in jobs)
    assert lines == [3, 4, 5, 6, 7, 8]
    assert len(read_eval_set(root / "greet" / "eval_set.jsonl").cases) == 8
