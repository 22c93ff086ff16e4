"""`POST /v1/prompts/NAME` of a real gateway: answers, refusals, and what is logged of each."""

import json
from typing import Any

import pytest

from serving.http.llm.handler import name_direct
from serving.log.records import AssignedArm
from support.gateway.site import CallerReply, Running, read_answers
from support.llm.answers import AskedRequest, FakeAnswer, refuse
from support.llm.live import find_record
from support.llm.provider import FakeProvider


def ask(running: Running, name: str = "greet", **body: Any) -> CallerReply:
    values = {"variables": {"person": "Ada"}, **body}
    return running.ask(f"/v1/prompts/{name}", values)


def test_a_prompt_answers_with_its_version_model_tokens_and_cost(
    prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("Good day, Ada.", cache_read=4, model="claude-haiku-4-5-20251001"))
    reply = ask(prompts, request_id="plain", unit="ada")
    assert reply.status == 200, reply.text
    assert reply.headers["x-request-id"] == "plain"
    assert reply.json == {
        "request_id": "plain",
        "service": "greet",
        "version": 1,
        "arm": "champion",
        "model": "claude-haiku-4-5-20251001",
        "provider": "anthropic",
        "finish_reason": "stop",
        "usage": {
            "input_tokens": 11,
            "output_tokens": 7,
            "cache_read_tokens": 4,
            "cache_write_tokens": 0,
        },
        "cost": pytest.approx(11e-6 + 4e-7 + 35e-6),
        "unit": "ada",
        "text": "Good day, Ada.",
    }
    [asked] = provider.asked
    assert asked.body["system"] == "Be short."
    assert asked.question == "Greet Ada."


def test_the_record_has_tokens_cost_and_texts(prompts: Running, provider: FakeProvider) -> None:
    provider.reset(FakeAnswer("Good day.", cache_read=4, cache_write=2))
    ask(prompts, request_id="logged")
    record = find_record(prompts, "greet", "logged")
    assert (record.arm, record.arm_version, record.version) == (AssignedArm.CHAMPION, 1, 1)
    assert (record.failed, record.reason, record.fallback) == (False, "", False)
    assert record.cost == pytest.approx(11e-6 + 4e-7 + 2 * 1.25e-6 + 35e-6)
    assert (record.input_tokens, record.output_tokens) == (17, 7)
    assert (record.cache_read_tokens, record.cache_write_tokens) == (4, 2)
    assert record.latency_ms > 0
    assert json.loads(record.inputs) == {"variables": {"person": "Ada"}}
    assert json.loads(record.outputs)["text"] == "Good day."


def test_a_text_fills_the_one_variable(prompts: Running, provider: FakeProvider) -> None:
    reply = ask(prompts, variables="Grace")
    assert reply.status == 200, reply.text
    assert provider.asked[0].question == "Greet Grace."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"variables": {"name": "Ada"}}, "missing: person"),
        ({"variables": {"person": "Ada", "city": "Rome"}}, "surplus: city"),
        ({"variables": {"person": 3}}, "variables"),
        ({"variable": {"person": "Ada"}}, "unknown field"),
        ({"variables": {"person": "Ada"}, "context": ["a passage"]}, "{context}"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_in_words(
    prompts: Running, provider: FakeProvider, body: dict[str, Any], words: str
) -> None:
    reply = prompts.ask("/v1/prompts/greet", body)
    assert reply.status == 422
    assert words in reply.json["error"]
    assert provider.asked == []


def test_a_text_for_two_variables_is_refused(prompts: Running) -> None:
    reply = ask(prompts, "pair", variables="Ada")
    assert reply.status == 422
    assert "person, place" in reply.json["error"]


def test_a_field_that_comes_twice_is_refused(prompts: Running) -> None:
    body = b'{"variables": {"person": "Ada", "person": "Bob"}}'
    reply = prompts.ask("/v1/prompts/greet", body)
    assert reply.status == 422
    assert "person: found twice" in reply.json["error"]


def test_an_unknown_prompt_is_named_beside_those_that_there_are(prompts: Running) -> None:
    reply = ask(prompts, "translate")
    assert reply.status == 404
    assert reply.json["error"].startswith("prompt: found translate; allowed: ")
    assert "greet" in reply.json["error"]


def test_another_method_is_refused(prompts: Running) -> None:
    assert prompts.ask("/v1/prompts/greet").status == 405


FAULTS = {
    "unavailable": [
        refuse(500),
        refuse(529),
        refuse(429, retry_after="90"),
        FakeAnswer(fault="hang"),
        FakeAnswer(fault="stall"),
        FakeAnswer(fault="half"),
        FakeAnswer(fault="garbage"),
        FakeAnswer(fault="wrong_shape"),
        FakeAnswer(fault="no_usage"),
        FakeAnswer(fault="negative_usage"),
        FakeAnswer(fault="disconnect"),
    ],
    "refused": [refuse(401), refuse(400)],
}
CASES = [(reason, fault) for reason, faults in FAULTS.items() for fault in faults]


@pytest.mark.parametrize(
    ("reason", "fault"), CASES, ids=[f"{fault.fault}-{fault.status}" for _, fault in CASES]
)
def test_each_fault_of_the_provider_is_a_clear_error_and_a_failure_of_the_arm(
    prompts: Running, provider: FakeProvider, reason: str, fault: FakeAnswer
) -> None:
    name = f"fault-{fault.fault}-{fault.status}"
    provider.reset(fault)
    reply = ask(prompts, request_id=name)
    assert reply.status == (503 if reason == "unavailable" else 502), reply.text
    assert "provider 'anthropic'" in reply.json["error"]
    assert reply.json["request_id"] == name
    assert reply.headers["x-should-retry"] == "false"
    record = find_record(prompts, "greet", name)
    assert (record.failed, record.reason) == (True, reason)
    assert (record.latency_ms, record.cost, record.outputs) == (0.0, None, b"")


def test_the_models_fallback_answers_where_its_provider_does_not(
    prompts: Running, provider: FakeProvider
) -> None:
    def answer(asked: AskedRequest) -> FakeAnswer:
        return refuse(500) if asked.dialect == "anthropic" else FakeAnswer("Hello from the spare.")

    provider.reset(answer)
    reply = ask(prompts, "careful", request_id="spare")
    assert reply.status == 200, reply.text
    assert reply.json["text"] == "Hello from the spare."
    assert reply.json["provider"] == "openai"
    assert reply.json["fallback"] is True
    record = find_record(prompts, "careful", "spare")
    assert (record.failed, record.reason) == (True, "provider_fallback")
    assert record.fallback
    assert record.cost is not None


def test_metrics_count_what_prompts_cost(prompts: Running, provider: FakeProvider) -> None:
    ask(prompts, request_id="counted")
    text = prompts.ask("/metrics").text.decode()
    lines = [line for line in text.splitlines() if 'service="greet"' in line]
    cost = next(line for line in lines if line.startswith("sluice_cost_total"))
    answers = read_answers(prompts.folder, "greet")
    spent = sum(item.cost or 0.0 for item in answers)
    assert float(cost.split()[-1]) == pytest.approx(spent, abs=1e-6 * len(answers))


def test_the_description_and_readiness_have_prompts_too(prompts: Running) -> None:
    paths = prompts.ask("/openapi.json").json["paths"]
    schema = paths["/v1/prompts/pair"]["post"]["requestBody"]["content"]["application/json"]
    variables = schema["schema"]["properties"]["variables"]["anyOf"][0]
    assert list(variables["properties"]) == ["person", "place"]
    state = prompts.describe("pair")
    assert (state["champion"], state["backend"], state["backend_reason"]) == (1, "prompt", "")


def test_feedback_on_a_prompts_answer_is_accepted(prompts: Running, provider: FakeProvider) -> None:
    ask(prompts, request_id="rated")
    find_record(prompts, "greet", "rated")
    reply = prompts.ask("/v1/feedback", {"request_id": "rated", "rating": 1, "service": "greet"})
    assert reply.status == 202


def test_a_model_that_is_asked_itself_has_a_service_that_no_prompt_can_have() -> None:
    assert name_direct("meta/llama 3") == "model.meta-llama-3"
