"""Feedback that is unknown, repeated, contradicting or late has a defined result."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.http.feedback import (
    ANSWERS_FILE,
    CallerServices,
    FeedbackBody,
    RecentAnswers,
    attribute,
    decode_feedback,
)
from serving.log.records import AssignedArm
from sluice.errors import FeedbackInvalid, RequestInvalid
from support.gateway.records import AT, make_answer

ANY = CallerServices(["arrivals", "employment"])
ONE, TWO = CallerServices(["arrivals"], True), CallerServices(["arrivals", "employment"], True)


def uncapped(service: str) -> float:
    return 0.0


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[RecentAnswers]:
    table = RecentAnswers(tmp_path / ANSWERS_FILE, 1000)
    yield table
    table.close()


def test_unknown_id_is_logged_and_counts_nowhere(answers: RecentAnswers) -> None:
    record = attribute(
        FeedbackBody("nobody", rating=-1.0, value=3.0), AT, ANY, lambda _: 10.0, answers
    )
    assert (record.service, record.arm, record.counts_rating, record.counts_value) == (
        "",
        "none",
        False,
        False,
    )
    assert (record.rating, record.value) == (-1.0, 3.0)


def test_each_part_counts_once(answers: RecentAnswers) -> None:
    answers.remember([make_answer(1)])
    first = attribute(FeedbackBody("r1", rating=1.0), AT, ANY, uncapped, answers)
    contrary = attribute(FeedbackBody("r1", rating=-1.0, value=2.0), AT, ANY, uncapped, answers)
    again = attribute(FeedbackBody("r1", rating=-1.0, value=2.0), AT, ANY, uncapped, answers)
    assert [(item.counts_rating, item.counts_value) for item in (first, contrary, again)] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_label_alone_counts_no_part(answers: RecentAnswers) -> None:
    answers.remember([make_answer(1)])
    assert attribute(FeedbackBody("r1", label=True), AT, ANY, uncapped, answers).label == "true"
    assert attribute(FeedbackBody("r1", rating=1.0), AT, ANY, uncapped, answers).counts_rating


def test_answer_of_no_arm_counts_nowhere(answers: RecentAnswers) -> None:
    answers.remember([make_answer(1, arm=AssignedArm.NONE)])
    assert not attribute(FeedbackBody("r1", rating=1.0), AT, ANY, uncapped, answers).counts_rating


def test_workers_share_answers_and_feedback(answers: RecentAnswers, tmp_path: Path) -> None:
    other = RecentAnswers(tmp_path / ANSWERS_FILE, 5000)
    answers.remember([make_answer(1, service="a-service-with-a-name-of-41-characters-xx")])
    long = CallerServices(["a-service-with-a-name-of-41-characters-xx"])
    record = attribute(FeedbackBody("r1", rating=1.0), AT, long, uncapped, other)
    assert record.service == "a-service-with-a-name-of-41-characters-xx"
    assert record.counts_rating
    assert not attribute(FeedbackBody("r1", rating=1.0), AT, long, uncapped, answers).counts_rating
    other.close()


def test_answers_beyond_the_memory_are_forgotten(answers: RecentAnswers) -> None:
    answers.remember([make_answer(number) for number in range(20_000)])
    known = sum(answers.find("employment", f"r{number}") is not None for number in range(20_000))
    assert 900 <= known <= 1000
    assert answers.find("employment", "r19999") is not None


def test_request_id_of_two_answers_means_the_last(answers: RecentAnswers) -> None:
    answers.remember([make_answer(1, arm_version=3), make_answer(1, arm_version=4)])
    found = answers.find("employment", "r1")
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
def test_body_that_is_not_feedback_is_refused(body: bytes, names: str) -> None:
    with pytest.raises(FeedbackInvalid, match=names):
        decode_feedback(body)


@pytest.mark.parametrize("label", ['"yes"', "3", "2.5", "false"])
def test_labels_are_kept_as_json(label: str, answers: RecentAnswers) -> None:
    feedback = decode_feedback(f'{{"request_id": "r", "label": {label}}}'.encode())
    assert attribute(feedback, AT, ANY, uncapped, answers).label == label


def test_a_key_of_one_service_says_nothing_about_anothers_answer(answers: RecentAnswers) -> None:
    answers.remember([make_answer(1, service="employment")])
    record = attribute(FeedbackBody("r1", rating=-1.0), AT, ONE, uncapped, answers)
    assert (record.service, record.version, record.counts_rating) == ("arrivals", 0, False)
    assert attribute(FeedbackBody("r1", rating=1.0), AT, TWO, uncapped, answers).counts_rating


def test_an_answer_keeps_its_id_when_another_service_answers_the_same(
    answers: RecentAnswers,
) -> None:
    answers.remember([make_answer(1, service="employment", arm_version=3)])
    answers.remember([make_answer(1, service="arrivals", arm_version=9)])
    body = FeedbackBody("r1", rating=1.0, service="employment")
    record = attribute(body, AT, ANY, uncapped, answers)
    assert (record.service, record.version, record.counts_rating) == ("employment", 3, True)
    other = attribute(FeedbackBody("r1", rating=1.0), AT, ONE, uncapped, answers)
    assert (other.service, other.version, other.counts_rating) == ("arrivals", 9, True)


@pytest.mark.parametrize("services", [ANY, TWO])
def test_an_id_of_two_services_needs_the_service(
    answers: RecentAnswers, services: CallerServices
) -> None:
    answers.remember([make_answer(1, service=name) for name in ("employment", "arrivals")])
    with pytest.raises(FeedbackInvalid, match=r"^service: found nothing.*: arrivals, employment$"):
        attribute(FeedbackBody("r1", rating=1.0), AT, services, uncapped, answers)


def test_a_key_of_several_services_names_the_service_of_a_forgotten_answer(
    answers: RecentAnswers,
) -> None:
    with pytest.raises(FeedbackInvalid, match=r"nobody here remembers.*arrivals, employment"):
        attribute(FeedbackBody("old", rating=1.0), AT, TWO, uncapped, answers)
    body = FeedbackBody("old", rating=1.0, service="employment")
    record = attribute(body, AT, TWO, uncapped, answers)
    assert (record.service, record.counts_rating) == ("employment", False)


def test_a_field_twice_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="rating: found twice"):
        decode_feedback(b'{"request_id": "r", "rating": 1, "rating": -1}')
