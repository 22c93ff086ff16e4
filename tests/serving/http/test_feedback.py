"""Feedback that is unknown, told twice, contradicting or late has a defined answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.http.feedback import FeedbackBody, RecentAnswers, attribute, decode_feedback
from serving.log.records import AssignedArm
from sluice.errors import FeedbackInvalid
from support.gateway.records import AT, make_answer


def uncapped(service: str) -> float:
    return 0.0


@pytest.fixture
def answered(tmp_path: Path) -> Iterator[RecentAnswers]:
    table = RecentAnswers(tmp_path / "answered", 1000)
    yield table
    table.close()


def test_unknown_id_is_logged_and_counts_nowhere(answered: RecentAnswers) -> None:
    told = attribute(FeedbackBody("nobody", rating=-1.0, value=3.0), AT, lambda _: 10.0, answered)
    assert (told.service, told.arm, told.rates, told.values) == ("", "none", False, False)
    assert (told.rating, told.value) == (-1.0, 3.0)


def test_each_part_counts_once(answered: RecentAnswers) -> None:
    answered.remember([make_answer(1)])
    first = attribute(FeedbackBody("r1", rating=1.0), AT, uncapped, answered)
    contrary = attribute(FeedbackBody("r1", rating=-1.0, value=2.0), AT, uncapped, answered)
    again = attribute(FeedbackBody("r1", rating=-1.0, value=2.0), AT, uncapped, answered)
    assert [(item.rates, item.values) for item in (first, contrary, again)] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_label_alone_takes_nothing(answered: RecentAnswers) -> None:
    answered.remember([make_answer(1)])
    assert attribute(FeedbackBody("r1", label=True), AT, uncapped, answered).label == "true"
    assert attribute(FeedbackBody("r1", rating=1.0), AT, uncapped, answered).rates


def test_answer_of_no_arm_counts_nowhere(answered: RecentAnswers) -> None:
    answered.remember([make_answer(1, arm=AssignedArm.NONE)])
    assert not attribute(FeedbackBody("r1", rating=1.0), AT, uncapped, answered).rates


def test_workers_share_what_was_answered_and_told(answered: RecentAnswers, tmp_path: Path) -> None:
    other = RecentAnswers(tmp_path / "answered", 5000)
    answered.remember([make_answer(1, service="a-service-with-a-name-of-41-characters-xx")])
    told = attribute(FeedbackBody("r1", rating=1.0), AT, uncapped, other)
    assert told.service == "a-service-with-a-name-of-41-characters-xx"
    assert told.rates
    assert not attribute(FeedbackBody("r1", rating=1.0), AT, uncapped, answered).rates
    other.close()


def test_answers_beyond_the_memory_are_forgotten(answered: RecentAnswers) -> None:
    answered.remember([make_answer(number) for number in range(20_000)])
    known = sum(answered.find(f"r{number}") is not None for number in range(20_000))
    assert 900 <= known <= 1000
    assert answered.find("r19999") is not None


def test_request_id_of_two_answers_means_the_last(answered: RecentAnswers) -> None:
    answered.remember([make_answer(1, arm_version=3), make_answer(1, arm_version=4)])
    found = answered.find("r1")
    assert found is not None
    assert found.version == 4


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"{}", "request_id"),
        (b'{"request_id": ""}', "request_id"),
        (b'{"request_id": "r"}', "label, rating or value"),
        (b'{"request_id": "r", "rating": 2}', r"<= 1.*rating"),
        (b'{"request_id": "r", "rating": NaN}', "malformed"),
        (b'{"request_id": "r", "value": 1e999}', "feedback"),
        (b'{"request_id": "r", "thumb": 1}', "thumb"),
        (b'{"request_id": "r", "label": {"a": 1}}', "label"),
        (b'{"request_id": "r", "label": "' + b"x" * 2000 + b'"}', "label"),
        (b"\xff\xfe", "feedback"),
        (b"[" * 100_000, "feedback"),
        (b"", "feedback"),
    ],
)
def test_body_that_tells_nothing_is_refused(body: bytes, names: str) -> None:
    with pytest.raises(FeedbackInvalid, match=names):
        decode_feedback(body)


@pytest.mark.parametrize("label", ['"yes"', "3", "2.5", "false"])
def test_labels_are_kept_as_json(label: str, answered: RecentAnswers) -> None:
    opinion = decode_feedback(f'{{"request_id": "r", "label": {label}}}'.encode())
    assert attribute(opinion, AT, uncapped, answered).label == label
