"""Each dialect, whole and streamed, with each fault: bounded time, right counts, clear errors."""

from itertools import product

import pytest

from sluice.errors import ProviderRefused, ProviderUnavailable
from sluice.prompts.chat import TokenUsage
from support.llm.answers import AskedRequest, FakeAnswer, Fault, refuse
from support.llm.asking import MODELS, ask, make_request, write_config
from support.llm.provider import KEY, FakeProvider

MOST_SECONDS = 3.0
"""What a call may take whose limits are 0.6 s, on a busy machine."""
WAYS = [
    pytest.param(dialect, stream, id=f"{dialect}-{'streamed' if stream else 'whole'}")
    for dialect, stream in product(MODELS, (False, True))
]
ENDS: list[tuple[Fault, str, str]] = [
    # fault, words of a whole answer, words of a streamed one
    ("hang", "did not finish its answer within 0.6 s", "did not begin its answer within 0.3 s"),
    ("stall", "sent nothing for 0.3 s in an answer", "sent nothing for 0.3 s in an answer"),
    ("garbage", "sent something that is not JSON", "sent something that is not JSON"),
    ("wrong_shape", "sent an answer of another shape", "sent an answer of another shape"),
    ("half", "cut its answer in the middle", "cut its answer in the middle"),
    ("unfinished", "sent something that is not JSON", "ended its answer in the middle, without"),
    ("no_usage", "did not tell the tokens", "did not tell the tokens"),
    ("negative_usage", "Expected `int` >= 0", "Expected `int` >= 0"),
    ("text_usage", "Expected `int", "Expected `int"),
]


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
@pytest.mark.parametrize(("fault", "whole", "streamed"), ENDS, ids=[item[0] for item in ENDS])
def test_a_fault_ends_in_time_with_words(
    provider: FakeProvider, dialect: str, stream: bool, fault: Fault, whole: str, streamed: str
) -> None:
    provider.reset(FakeAnswer("One two three four five six.", fault=fault))
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=stream)
    assert isinstance(found.error, ProviderUnavailable)
    assert str(found.error).startswith(f"provider '{dialect}' ")
    assert (streamed if stream else whole) in str(found.error)
    assert found.seconds < MOST_SECONDS
    assert found.reply is None
    # The provider may have worked on it: it is not sent a second time, and it may have cost.
    assert (len(provider.asked), found.trace.attempts) == (1, 1)
    assert found.trace.may_have_cost


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_transient_status_is_tried_again(
    provider: FakeProvider, dialect: str, stream: bool, status: int
) -> None:
    provider.reset(lambda asked: refuse(status) if asked.number < 3 else FakeAnswer("Fine."))
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=stream)
    assert found.error is None
    assert found.reply is not None
    assert (found.reply.text, found.reply.usage) == ("Fine.", TokenUsage(11, 7))
    assert found.trace.statuses == [status, status, 200]


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
@pytest.mark.parametrize("status", [429, 500, 529])
def test_a_status_that_stays_ends_after_the_attempts(
    provider: FakeProvider, dialect: str, stream: bool, status: int
) -> None:
    provider.reset(refuse(status))
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=stream)
    assert isinstance(found.error, ProviderUnavailable)
    assert f"({status}): server_error: something is wrong; tried 3 times" in str(found.error)
    assert found.trace.statuses == [status] * 3
    assert not found.trace.may_have_cost
    assert found.seconds < MOST_SECONDS


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
def test_a_refused_key_is_not_tried_again_and_not_shown(
    provider: FakeProvider, dialect: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_A_TEST", "sk-wrong")
    provider.reset(FakeAnswer())
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=stream)
    assert isinstance(found.error, ProviderRefused)
    assert "refuses the key (401)" in str(found.error)
    assert "sk-wrong" not in str(found.error)
    assert len(provider.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 413, 422, 302])
def test_a_refused_request_is_not_tried_again(provider: FakeProvider, status: int) -> None:
    provider.reset(FakeAnswer(fault="status", status=status, message=f"wrong {KEY}", code="bad"))
    found = ask(write_config(provider), make_request())
    assert isinstance(found.error, ProviderRefused)
    assert f"({status}): bad: wrong [key]" in str(found.error)
    assert (len(provider.asked), found.trace.may_have_cost) == (1, False)


def test_a_quota_that_is_used_up_is_not_tried_again(provider: FakeProvider) -> None:
    provider.reset(FakeAnswer(fault="status", status=429, code="insufficient_quota"))
    found = ask(write_config(provider), make_request("gpt"))
    assert isinstance(found.error, ProviderRefused)
    assert len(provider.asked) == 1


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
@pytest.mark.parametrize(("status", "header"), [(429, "retry_after"), (529, "retry_after_ms")])
def test_the_wait_that_a_server_asks_for_is_kept(
    provider: FakeProvider, dialect: str, stream: bool, status: int, header: str
) -> None:
    value = "0.2" if header == "retry_after" else "200"

    def answer(asked: AskedRequest) -> FakeAnswer:
        return refuse(status, **{header: value}) if asked.number == 1 else FakeAnswer()

    provider.reset(answer)
    config = write_config(provider, retries={"longest_wait": "1 s"})
    found = ask(config, make_request(MODELS[dialect]), stream=stream)
    assert found.reply is not None
    assert found.seconds >= 0.2
    assert found.trace.statuses == [status, 200]


def test_a_wait_that_is_too_long_is_not_waited_for(provider: FakeProvider) -> None:
    provider.reset(refuse(429, retry_after="3600"))
    found = ask(write_config(provider), make_request())
    assert "asks to wait 3600 s, more than retries.longest_wait" in str(found.error)
    assert (len(provider.asked), found.seconds < MOST_SECONDS) == (1, True)


@pytest.mark.parametrize("dialect", MODELS)
def test_an_error_in_the_middle_of_a_stream_is_told(provider: FakeProvider, dialect: str) -> None:
    provider.reset(FakeAnswer("One two three four five.", fault="error_event", code="overloaded"))
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=True)
    assert isinstance(found.error, ProviderUnavailable)
    assert "reported an error in its answer: overloaded: something is wrong" in str(found.error)
    assert found.texts != []


@pytest.mark.parametrize("dialect", MODELS)
def test_a_cut_stream_keeps_the_tokens_that_were_told(provider: FakeProvider, dialect: str) -> None:
    provider.reset(FakeAnswer("One two three four five six.", fault="half"))
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=True)
    assert found.texts != []
    told = {"anthropic": TokenUsage(input=11), "openai": TokenUsage()}
    assert found.trace.usage == told[dialect]


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
def test_a_connection_that_ends_before_an_answer_is_tried_again(
    provider: FakeProvider, dialect: str, stream: bool
) -> None:
    first = FakeAnswer(fault="disconnect")
    provider.reset(lambda asked: first if asked.number == 1 else FakeAnswer())
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=stream)
    assert found.reply is not None
    assert found.trace.attempts == 2


def test_a_provider_that_is_not_there_is_named_with_its_address(provider: FakeProvider) -> None:
    config = write_config(provider)
    gone = config.providers["anthropic"].model_copy(update={"url": "http://127.0.0.1:9"})
    config = config.model_copy(update={"providers": {**config.providers, "anthropic": gone}})
    found = ask(config, make_request())
    assert isinstance(found.error, ProviderUnavailable)
    assert "cannot be reached at http://127.0.0.1:9" in str(found.error)
    assert (found.trace.attempts, found.trace.may_have_cost) == (3, False)


def test_more_cached_than_sent_tokens_are_refused(provider: FakeProvider) -> None:
    provider.reset(FakeAnswer(input_tokens=-5, cache_read=20))
    found = ask(write_config(provider), make_request("gpt"))
    assert "counts 20 cached tokens of 15 tokens of input" in str(found.error)


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
def test_counts_that_no_answer_can_have_are_refused(
    provider: FakeProvider, dialect: str, stream: bool
) -> None:
    provider.reset(FakeAnswer(output_tokens=10**12))
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=stream)
    assert isinstance(found.error, ProviderUnavailable)
    assert "Expected `int` <= 1000000000" in str(found.error)
    assert (found.reply, found.trace.may_have_cost) == (None, True)


@pytest.mark.parametrize(("dialect", "stream"), WAYS)
def test_an_error_that_is_a_page_is_told_in_its_words(
    provider: FakeProvider, dialect: str, stream: bool
) -> None:
    provider.reset(FakeAnswer(fault="status_page", status=502))
    found = ask(write_config(provider), make_request(MODELS[dialect]), stream=stream)
    assert isinstance(found.error, ProviderUnavailable)
    words = f"provider '{dialect}' fails (502): <html>Bad gateway</html>; tried 3 times"
    assert str(found.error) == words
    assert not found.trace.may_have_cost
