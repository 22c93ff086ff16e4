"""Replies on the disk: found again only for the same request, sample and model."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.adapters.llm.reply_cache import ReplyCache, find_revision
from sluice.config.llm.loading import load_providers
from sluice.errors import DataUnavailable, StorageFull
from sluice.prompts.calls.choice import ModelChoice
from sluice.prompts.chat import ChatReply, TokenUsage, ToolCall
from support.llm.asking import make_request

REQUEST = make_request()
REPLY = ChatReply(
    text="Täglich ☀ \ud800",
    model="m-1",
    provider="p",
    usage=TokenUsage(1, 2, 3, 4),
    finish_reason="stop",
    seconds=0.1,
    tool_calls=(ToolCall("t", '{"a": 1}', "x"),),
    cost=1e-7,
)


@pytest.fixture
def cache(tmp_path: Path) -> ReplyCache:
    return ReplyCache(tmp_path / "replies")


def test_a_reply_comes_back_as_it_was(cache: ReplyCache) -> None:
    cache.store(REQUEST, 0, "r", REPLY)
    assert cache.find(REQUEST, 0, "r") == REPLY
    unknown = replace(REPLY, cost=None, usage=TokenUsage(), tool_calls=())
    cache.store(REQUEST, 0, "r", unknown)
    assert cache.find(REQUEST, 0, "r") == unknown


def test_another_request_sample_or_revision_has_none(cache: ReplyCache) -> None:
    cache.store(REQUEST, 0, "r", REPLY)
    assert cache.find(REQUEST, 1, "r") is None
    assert cache.find(REQUEST, 0, "r2") is None
    for changes in ({"text": "Hello!"}, {"temperature": 0.0}, {"max_tokens": 99}, {"system": ""}):
        assert cache.find(make_request(**changes), 0, "r") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 300, b"[]", b'{"reply": {}}'])
def test_a_damaged_file_is_read_as_missing(
    cache: ReplyCache, tmp_path: Path, damage: bytes
) -> None:
    cache.store(REQUEST, 0, "r", REPLY)
    [file] = tmp_path.rglob("*.json")
    file.write_bytes(damage)
    assert cache.find(REQUEST, 0, "r") is None


def test_a_changed_answer_is_read_as_missing(cache: ReplyCache, tmp_path: Path) -> None:
    cache.store(REQUEST, 0, "r", REPLY)
    [file] = tmp_path.rglob("*.json")
    file.write_text(file.read_text().replace("m-1", "m-2"))
    assert cache.find(REQUEST, 0, "r") is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((DataUnavailable, StorageFull), match="reply cache"):
        ReplyCache(tmp_path / "file" / "replies").store(REQUEST, 0, "r", REPLY)


def test_the_revision_tells_providers_addresses_and_models_apart() -> None:
    config = load_providers()
    haiku = config.models["claude-haiku-4-5"]
    provider = config.providers["anthropic"]
    choices = [
        ModelChoice("a", "a", model, place)
        for model in (haiku, haiku.model_copy(update={"id": "claude-haiku-9"}))
        for place in (provider, provider.model_copy(update={"url": "https://other.example"}))
    ]
    assert len({find_revision(choice) for choice in choices}) == 4


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from sluice.adapters.llm.reply_cache import ReplyCache
from support.llm.asking import make_request
from test_reply_cache import REPLY

cache, text = ReplyCache(Path(sys.argv[1])), sys.argv[2] * 200_000
print("ready", flush=True)
while True:
    for sample in range(5):
        cache.store(make_request(), sample, "r", replace(REPLY, text=text))
"""


def test_writers_at_once_that_are_killed_leave_whole_replies(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}){WRITER}"
    command = [sys.executable, "-c", code, str(tmp_path)]
    writers = [
        subprocess.Popen([*command, letter], stdout=subprocess.PIPE, text=True) for letter in "ab"
    ]
    cache = ReplyCache(tmp_path)
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        ends, read = time.monotonic() + 0.5, 0
        while time.monotonic() < ends or not read:
            found = cache.find(make_request(), read % 5, "r")
            assert found is None or found.text in ("a" * 200_000, "b" * 200_000)
            read += found is not None
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    for sample in range(5):
        found = cache.find(make_request(), sample, "r")
        assert found is None or found.text in ("a" * 200_000, "b" * 200_000)


def test_a_prompts_request_keeps_the_digest_that_kept_replies_have() -> None:
    """It was computed before callers could send calls of tools, `tool_choice` or `stop`."""
    request = make_request("claude", "Hello?")
    text = (
        '{"max_tokens":100,"messages":[{"content":"Hello?","role":"user"}],"model":"claude",'
        '"output_schema":null,"system":null,"temperature":null,"tools":[]}'
    )
    assert request.to_json() == text
    assert replace(request, top_p=0.5, stop=("END",), tool_choice="any").to_json() != text
