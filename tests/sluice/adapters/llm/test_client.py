"""The client beside its faults: keys, fallbacks, the pace of requests, callers that go away."""

import asyncio
import logging
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.llm.client import LanguageModels
from sluice.config.llm.providers import ProvidersConfig
from sluice.errors import ConfigInvalid, ModelRetired, PromptInvalid, ProviderRefused
from support.llm.answers import AskedRequest, FakeAnswer, refuse
from support.llm.asking import KEY_VARIABLE, Outcome, ask, make_request, write_config
from support.llm.provider import KEY, FakeProvider


def change_model(config: ProvidersConfig, name: str, **changes: Any) -> ProvidersConfig:
    model = config.models[name].model_copy(update=changes)
    return config.model_copy(update={"models": {**config.models, name: model}})


def change_key(config: ProvidersConfig, **place: str) -> ProvidersConfig:
    key = type(config.providers["anthropic"].key)  # type: ignore[union-attr]
    provider = config.providers["anthropic"].model_copy(update={"key": key(**place)})
    return config.model_copy(update={"providers": {**config.providers, "anthropic": provider}})


def test_a_missing_key_is_told_with_its_place(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    found = ask(write_config(provider), make_request())
    assert isinstance(found.error, ProviderRefused)
    assert f"'anthropic' needs a key, and the variable {KEY_VARIABLE} has none" in str(found.error)
    assert provider.asked == []


def test_a_key_of_a_file_is_read_anew(provider: FakeProvider, tmp_path: Path) -> None:
    file = tmp_path / "key"
    config = change_key(write_config(provider), file=str(file))
    assert "No such file" in str(ask(config, make_request()).error)
    file.write_text(f"{KEY}\n")
    assert ask(config, make_request()).reply is not None


@pytest.mark.parametrize("value", ["two\nlines", "sch\xfcssel", "a\x00b"])
def test_a_key_that_no_header_can_have_is_refused_without_it(
    provider: FakeProvider, tmp_path: Path, value: str
) -> None:
    (tmp_path / "key").write_text(value)
    config = change_key(write_config(provider), file=str(tmp_path / "key"))
    error = ask(config, make_request()).error
    assert isinstance(error, ProviderRefused)
    assert "not one line of plain characters" in str(error)
    assert value not in str(error)


def test_no_message_and_no_log_has_the_key(
    provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in ("status", "garbage", "error_event"):
        provider.reset(FakeAnswer(fault=fault, message=f"{KEY} is wrong"))
        for stream in (False, True):
            found = ask(write_config(provider), make_request(), stream=stream)
            assert KEY not in str(found.error)
    assert KEY not in caplog.text


def test_what_may_not_be_asked_is_not_sent(provider: FakeProvider) -> None:
    from datetime import date

    config = write_config(provider)
    assert isinstance(ask(config, make_request("gpt-9")).error, ConfigInvalid)
    retired = change_model(config, "claude", retires=date(2026, 1, 1), successor="gpt")
    assert isinstance(ask(retired, make_request()).error, ModelRetired)
    cold = change_model(config, "claude", temperature=False)
    assert isinstance(ask(cold, make_request(temperature=0.5)).error, PromptInvalid)
    assert provider.asked == []


def answer_of_openai_only(asked: AskedRequest) -> FakeAnswer:
    return FakeAnswer("By the other.") if asked.dialect == "openai" else refuse(529)


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_answers_only_where_the_caller_allows_it(
    provider: FakeProvider, stream: bool
) -> None:
    config = change_model(write_config(provider), "claude", fallback="gpt")
    provider.reset(answer_of_openai_only)
    assert ask(config, make_request(), stream=stream).reply is None
    found = ask(config, make_request(), stream=stream, may_fall_back=True)
    assert found.reply is not None
    assert (found.reply.provider, found.reply.text) == ("openai", "By the other.")
    assert found.trace.attempts == 4


def test_a_fallback_that_cannot_do_it_leaves_the_first_error(provider: FakeProvider) -> None:
    config = change_model(write_config(provider), "claude", fallback="gpt")
    config = change_model(config, "gpt", temperature=False)
    provider.reset(answer_of_openai_only)
    found = ask(config, make_request(temperature=0.1), may_fall_back=True)
    assert "'anthropic' is overloaded (529)" in str(found.error)


def test_nothing_answers_instead_once_a_chunk_was_given_out(provider: FakeProvider) -> None:
    config = change_model(write_config(provider), "claude", fallback="gpt")
    provider.reset(FakeAnswer("One two three four five.", fault="half"))
    found = ask(config, make_request(), stream=True, may_fall_back=True)
    assert "cut its answer" in str(found.error)
    assert len(provider.asked) == 1


async def ask_many(config: ProvidersConfig, count: int) -> list[Any]:
    async with LanguageModels(config, "development", Path("/nowhere")) as models:
        made = (models.complete(make_request(text=f"case {n}")) for n in range(count))
        return await asyncio.gather(*made, return_exceptions=True)


def test_no_more_requests_than_allowed_are_sent_at_a_time(provider: FakeProvider) -> None:
    provider.reset(FakeAnswer(seconds=0.01))
    replies = asyncio.run(ask_many(write_config(provider, concurrency=3, limits={}), 12))
    assert not [item for item in replies if isinstance(item, Exception)]
    assert provider.most_at_a_time == 3


def test_a_provider_that_takes_few_requests_at_a_time_is_given_few(provider: FakeProvider) -> None:
    """It takes 4 at a time; 16 at once all end well, with fewer refusals than requests."""
    refused = 0

    def answer(_: AskedRequest) -> FakeAnswer:
        nonlocal refused
        if provider.open_requests > 4:
            refused += 1
            return refuse(429, retry_after_ms="20")
        return FakeAnswer(seconds=0.02)

    provider.reset(answer)
    retries = {"attempts": 8, "longest_wait": "0.2 s"}
    config = write_config(provider, concurrency=16, limits={}, retries=retries)
    replies = asyncio.run(ask_many(config, 60))
    assert not [item for item in replies if isinstance(item, Exception)]
    assert 0 < refused < 60


def test_a_caller_that_goes_away_frees_its_place(provider: FakeProvider) -> None:
    provider.reset(FakeAnswer("One two three four five.", gap_seconds=0.05))

    async def leave_and_ask() -> Outcome:
        found = Outcome()
        config = write_config(provider, concurrency=1, limits={})
        async with LanguageModels(config, "development", Path("/nowhere")) as models:
            async with aclosing(models.stream(make_request(), found.trace)) as chunks:
                async for _ in chunks:
                    break
            found.reply = await asyncio.wait_for(models.complete(make_request()), 5)
        return found

    found = asyncio.run(leave_and_ask())
    assert found.reply is not None
    assert (found.trace.may_have_cost, found.trace.usage.input) == (True, 11)


def test_callers_that_go_away_while_they_wait_leave_every_place_free(
    provider: FakeProvider,
) -> None:
    provider.reset(FakeAnswer(seconds=0.01))

    async def run() -> int:
        config = write_config(provider, concurrency=2, limits={})
        async with LanguageModels(config, "development", Path("/nowhere")) as models:
            calls = [asyncio.create_task(models.complete(make_request())) for _ in range(30)]
            for place, call in enumerate(calls[:20]):
                await asyncio.sleep(0.001 * (place % 4))
                call.cancel()
            ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
            provider.reset(FakeAnswer(seconds=0.02))
            await asyncio.gather(*(models.complete(make_request()) for _ in range(6)))
        return sum(not isinstance(end, BaseException) for end in ends)

    assert asyncio.run(run()) >= 10
    assert provider.most_at_a_time == 2


def test_streams_share_a_connection(provider: FakeProvider) -> None:
    provider.reset(FakeAnswer(gap_seconds=0.005))  # also between the last event and the end

    async def run() -> None:
        async with LanguageModels(
            write_config(provider), "development", Path("/nowhere")
        ) as models:
            for _ in range(4):
                async for _ in models.stream(make_request()):
                    pass

    asyncio.run(run())
    assert len({asked.headers["x-peer"] for asked in provider.asked}) == 1
