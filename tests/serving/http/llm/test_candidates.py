"""A prompt on trial: its failures before the first byte are the champion's to answer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from serving.log.records import AssignedArm, Shadow
from support.gateway.site import CallerReply, Running, read_log, wait_until
from support.llm.answers import AskedRequest, FakeAnswer, Fault, refuse
from support.llm.live import PromptSite, find_record, read_events
from support.llm.provider import FakeProvider

CHAMPION = FakeAnswer("From the champion.")


BEFORE = [
    (refuse(500), "unavailable"),
    (refuse(401), "refused"),
    (FakeAnswer(fault="hang"), "timeout"),
    (FakeAnswer(fault="disconnect"), "unavailable"),
]
"""Faults before the first byte."""
MIDDLE: list[Fault] = ["half", "stall", "error_event"]
NAMES = [f"before-{place}-{kind}" for place in range(len(BEFORE)) for kind in ("plain", "stream")]
NAMES += ["trial", *(f"middle-{place}" for place in range(len(MIDDLE)))]
"""A prompt for each test: a breaker opens after a few failures."""


@pytest.fixture(scope="module")
def trial(prompts: Running) -> Iterator[Running]:
    """Prompts with all units at their candidate, v2, which another provider answers."""
    site = prompts.site
    assert isinstance(site, PromptSite)
    for name in NAMES:
        site.publish(name)
        site.publish(name, 2, model="gpt")
        site.canary(name, 1.0, arm_timeout_ms=1500.0)
    with site.renewing(*NAMES):
        for name in NAMES:
            prompts.await_candidate(name)
        yield prompts


def candidate(answer: FakeAnswer) -> Any:
    """The candidate's answer; the champion's is always good."""

    def choose(asked: AskedRequest) -> FakeAnswer:
        return answer if asked.dialect == "openai" else CHAMPION

    return choose


def ask(running: Running, name: str, **more: Any) -> CallerReply:
    values = {"variables": "Ada", "request_id": name, **more}
    return running.ask(f"/v1/prompts/{name}", values)


def test_the_candidate_answers_its_share(trial: Running, provider: FakeProvider) -> None:
    provider.reset(candidate(FakeAnswer("From the candidate.")))
    reply = ask(trial, "trial")
    assert reply.json["text"] == "From the candidate."
    assert (reply.json["arm"], reply.json["version"]) == ("candidate", 2)
    record = find_record(trial, "trial", "trial")
    assert (record.arm, record.arm_version, record.version) == (AssignedArm.CANDIDATE, 2, 2)
    assert not record.failed


@pytest.mark.parametrize("kind", ["plain", "stream"])
@pytest.mark.parametrize("place", range(len(BEFORE)))
def test_its_failure_before_the_first_byte_is_never_the_callers(
    trial: Running, provider: FakeProvider, place: int, kind: str
) -> None:
    (answer, reason), name, stream = BEFORE[place], f"before-{place}-{kind}", kind == "stream"
    provider.reset(candidate(answer))
    reply = ask(trial, name, stream=stream)
    assert reply.status == 200, reply.text
    events = read_events(reply.text) if stream else []
    facts = events[-1][1] if stream else reply.json
    text = "".join(data["text"] for what, data in events if what == "text")
    assert (text if stream else facts["text"]) == "From the champion."
    assert (facts["version"], facts["arm"], facts["fallback"]) == (1, "candidate", True)
    record = find_record(trial, name, name)
    assert (record.arm, record.arm_version, record.version) == (AssignedArm.CANDIDATE, 2, 1)
    assert (record.failed, record.fallback) == (True, True)
    assert record.reason in (reason, "unavailable")  # on a busy machine a limit may come first
    assert json.loads(record.outputs)["text"] == "From the champion."
    assert record.cost is not None


@pytest.mark.parametrize("place", range(len(MIDDLE)))
def test_its_failure_after_the_first_byte_is_an_error_and_counted(
    trial: Running, provider: FakeProvider, place: int
) -> None:
    name = f"middle-{place}"
    provider.reset(candidate(FakeAnswer("one two three four five six", fault=MIDDLE[place])))
    reply = ask(trial, name, stream=True)
    events = read_events(reply.text)
    assert (events[0][1]["version"], events[-1][0]) == (2, "error")
    record = find_record(trial, name, name)
    assert (record.failed, record.fallback, record.version) == (True, False, 2)


def test_a_candidate_that_needs_other_variables_fails_alone(
    prompts: Running, provider: FakeProvider
) -> None:
    site = prompts.site
    assert isinstance(site, PromptSite)
    site.publish("changed")
    site.publish("changed", 2, template="Greet {person} in {place}.", model="gpt")
    site.canary("changed", 1.0)
    with site.renewing("changed"):
        prompts.await_candidate("changed")
        provider.reset(CHAMPION)
        values = {"variables": {"person": "Ada"}, "request_id": "changed"}
        reply = prompts.ask("/v1/prompts/changed", values)
    assert reply.json["text"] == "From the champion."
    record = find_record(prompts, "changed", "changed")
    assert (record.failed, record.reason) == (True, "signature")


def test_enough_failures_open_the_breaker_and_the_champion_gets_all(
    prompts: Running, provider: FakeProvider
) -> None:
    site = prompts.site
    assert isinstance(site, PromptSite)
    site.publish("broken")
    site.publish("broken", 2, model="gpt")
    site.canary("broken", 1.0)
    with site.renewing("broken"):
        prompts.await_candidate("broken")
        provider.reset(candidate(refuse(401)))
        for number in range(60):
            reply = prompts.ask("/v1/prompts/broken", {"variables": f"person {number}"})
            assert reply.status == 200
            if reply.json["arm"] == "none":
                break
        state = prompts.describe("broken")
    assert reply.json["arm"] == "none"
    assert state["candidate_reason"] == "the circuit breaker is open"


def test_the_smoke_test_asks_the_fixed_question(trial: Running, provider: FakeProvider) -> None:
    provider.reset(candidate(FakeAnswer("From the candidate.")))
    reply = trial.ask("/v1/models/trial:smoke")
    assert (reply.status, reply.json["passed"]) == (200, True)
    assert [item.question for item in provider.asked] == ["Greet text."]


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        (NAMES[0], refuse(401), "ProviderRefused"),
        (NAMES[1], FakeAnswer(" "), "is empty"),
        (NAMES[2], FakeAnswer(fault="garbage"), "ProviderUnavailable"),
    ],
)
def test_a_candidate_that_cannot_answer_it_fails(
    trial: Running, provider: FakeProvider, name: str, answer: FakeAnswer, reason: str
) -> None:
    provider.reset(candidate(answer))
    reply = trial.ask(f"/v1/models/{name}:smoke")
    assert (reply.status, reply.json["passed"]) == (200, False)
    assert reason in reply.json["reason"]


def test_a_candidate_in_shadow_gets_copies_and_no_caller_waits(
    prompts: Running, provider: FakeProvider
) -> None:
    site = prompts.site
    assert isinstance(site, PromptSite)
    site.publish("copied")
    site.publish("copied", 2, model="gpt")
    site.shadow("copied", arm_timeout_ms=5000.0)
    with site.renewing("copied"):
        prompts.await_candidate("copied")
        provider.reset(candidate(FakeAnswer("From the candidate.", seconds=0.3)))
        values = {"variables": "Ada", "request_id": "copied"}
        reply = prompts.ask("/v1/prompts/copied", values)
        assert reply.json["text"] == "From the champion."
        found: list[Shadow] = []

        def is_logged() -> bool:
            records = read_log(prompts.folder)
            found[:] = [
                item for item in records if isinstance(item, Shadow) and item.request_id == "copied"
            ]
            return bool(found)

        wait_until(is_logged, 15)
    [record] = found
    assert (record.service, record.version, record.failed) == ("copied", 2, False)
    assert json.loads(record.outputs)["text"] == "From the candidate."
    assert (record.input_tokens, record.differs) == (11, False)
    assert record.cost is not None
