"""Large bodies are decoded by one thread, and few of them wait for it."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.http import app, handler
from serving.http.large_bodies import LARGE_BYTES, WAITING, LargeBodies
from serving.http.replies import CallFailed
from serving.models.cache import CacheEntry, ModelCache
from sluice.errors import RequestInvalid
from support.gateway.application import run_application


def name_thread(body: bytes) -> str:
    return threading.current_thread().name


def test_only_large_bodies_leave_the_event_loop() -> None:
    async def test() -> None:
        bodies = LargeBodies()
        assert await bodies.read(b"x" * LARGE_BYTES, name_thread) == "MainThread"
        assert "large-bodies" in await bodies.read(b"x" * (LARGE_BYTES + 1), name_thread)

    asyncio.run(test())


def test_errors_of_decoding_come_back() -> None:
    def refuse(body: bytes) -> None:
        raise RequestInvalid("no")

    with pytest.raises(RequestInvalid, match=r"^no$"):
        asyncio.run(LargeBodies().read(b"x" * (LARGE_BYTES + 1), refuse))


def test_what_was_decoded_of_a_refused_body_is_freed_by_the_thread() -> None:
    freed: list[str] = []

    class Decoded:
        def __del__(self) -> None:
            freed.append(threading.current_thread().name)

    def refuse(body: bytes) -> None:
        decoded = Decoded()
        try:
            raise KeyError
        except KeyError as error:
            raise RequestInvalid(f"no {type(decoded).__name__}") from error

    with pytest.raises(RequestInvalid, match=r"^no Decoded$"):
        asyncio.run(LargeBodies().read(b"x" * (LARGE_BYTES + 1), refuse))
    assert len(freed) == 1
    assert "large-bodies" in freed[0]


def test_more_than_a_few_are_refused_at_once_and_small_ones_are_not() -> None:
    async def test() -> None:
        bodies, ended = LargeBodies(), threading.Event()
        large = b"x" * (LARGE_BYTES + 1)
        waiting = [
            asyncio.ensure_future(bodies.read(large, lambda _: ended.wait(20)))
            for _ in range(WAITING)
        ]
        await asyncio.sleep(0)
        with pytest.raises(CallFailed) as refused:
            await bodies.read(large, len)
        assert refused.value.reply.status == 503
        assert await bodies.read(b"x", len) == 1
        ended.set()
        assert await asyncio.gather(*waiting) == [True] * WAITING
        assert await bodies.read(large, len) == len(large)

    asyncio.run(test())


RECORD = {"size": 1.0, "town": "ayr", "here": True}
WAYS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "/v1/models/towns:predict": (handler, "decode_body", {"inputs": RECORD, "request_id": "r"}),
    "/v1/feedback": (app, "decode_feedback", {"request_id": "r", "rating": 1}),
}
"""Each path that takes a body, and the function that decodes it there."""


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.parametrize("spaces", [0, 2 * LARGE_BYTES])
def test_each_path_that_takes_a_body_decodes_large_ones_off_the_event_loop(
    path: str,
    spaces: int,
    tmp_path: Path,
    models: ModelCache,
    kept: CacheEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, name, body = WAYS[path]
    decode: Callable[..., Any] = getattr(module, name)
    threads = []

    def note_thread(*given: Any) -> Any:
        threads.append(threading.current_thread().name.partition("_")[0])
        return decode(*given)

    monkeypatch.setattr(module, name, note_thread)

    async def test() -> None:
        async with run_application(tmp_path, models, kept) as gateway:
            status, reply = await gateway.ask(path, json.dumps(body).encode() + b" " * spaces)
            assert status in (200, 202), reply

    asyncio.run(test())
    assert threads == ["large-bodies" if spaces else "MainThread"]
