"""The provider itself: an HTTP server on loopback in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from aiohttp import web

from support.llm.answers import Answering, AskedRequest, FakeAnswer
from support.llm.bodies import write_body, write_error, write_events

KEY = "sk-test-0123456789-secret"
PAGE = b"<html>Bad gateway</html>"
LATE = 60.0
"""Seconds that a hanging answer takes: longer than any test waits."""


class FakeProvider:
    """Answers both dialects by a function of the request; it keeps what was asked."""

    def __init__(self, answer: Answering | None = None) -> None:
        self.answer: Answering = answer or (lambda _: FakeAnswer())
        self.asked: list[AskedRequest] = []
        self.open_requests = 0
        self.most_at_a_time = 0
        self.url = ""
        self._ends = asyncio.Event()

    def reset(self, answer: Answering | FakeAnswer) -> "FakeProvider":
        """Forget what was asked, and answer by a function or always the same from now on."""
        self.answer = (lambda _: answer) if isinstance(answer, FakeAnswer) else answer
        self.asked, self.most_at_a_time = [], 0
        return self

    async def handle(self, request: web.Request) -> web.StreamResponse:
        dialect: Literal["anthropic", "openai"]
        dialect = "anthropic" if request.path.endswith("/messages") else "openai"
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers["x-peer"] = str(request.transport and request.transport.get_extra_info("peername"))
        body = await request.json()
        asked = AskedRequest(dialect, body, headers, len(self.asked) + 1)
        self.asked.append(asked)
        self.open_requests += 1
        self.most_at_a_time = max(self.most_at_a_time, self.open_requests)
        try:
            return await self._answer(request, asked)
        finally:
            self.open_requests -= 1

    async def _answer(self, request: web.Request, asked: AskedRequest) -> web.StreamResponse:
        if KEY not in asked.headers.get("authorization", asked.headers.get("x-api-key", "")):
            wrong = FakeAnswer(message=f"invalid key {KEY}", code="authentication_error")
            return web.json_response(write_error(asked.dialect, wrong), status=401)
        answer = self.answer(asked)
        await self._pause(LATE if answer.fault == "hang" else answer.seconds)
        if answer.fault == "disconnect":
            self._cut(request)
        if answer.fault == "status":
            body = write_error(asked.dialect, answer)
            return web.json_response(body, status=answer.status, headers=answer.headers)
        if answer.fault == "status_page":
            return web.Response(body=PAGE, status=answer.status, content_type="text/html")
        if asked.is_streamed:
            return await self._stream(request, asked, answer)
        return await self._send_whole(request, asked, answer)

    async def _send_whole(
        self, request: web.Request, asked: AskedRequest, answer: FakeAnswer
    ) -> web.StreamResponse:
        if answer.fault == "garbage":
            return web.Response(body=PAGE, content_type="text/html")
        if answer.fault == "wrong_shape":
            return web.json_response({"ok": True, "content": 3, "choices": "none"})
        whole = web.json_response(write_body(asked, answer), headers=answer.headers)
        if answer.fault not in ("half", "stall", "unfinished"):
            return whole
        text = bytes(whole.body)  # type: ignore[arg-type]
        if answer.fault == "unfinished":
            return web.Response(body=text[: len(text) // 2], content_type="application/json")
        response = web.StreamResponse(headers={"content-length": str(len(text))})
        await response.prepare(request)
        await response.write(text[: len(text) // 2])
        if answer.fault == "stall":
            await self._pause(LATE)
        self._cut(request)
        return response

    async def _stream(
        self, request: web.Request, asked: AskedRequest, answer: FakeAnswer
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        events = list(write_events(asked, answer))
        middle = len(events) // 2
        for place, event in enumerate(events):
            if place == middle and answer.fault in ("half", "stall", "unfinished", "error_event"):
                await self._break_stream(request, asked, answer, response)
                return response
            if place == middle and answer.fault in ("garbage", "wrong_shape"):
                spoilt = b"<html>" if answer.fault == "garbage" else b'{"type": 4, "choices": 5}'
                await response.write(b"data: " + spoilt + b"\n\n")
            await response.write(event)
            await asyncio.sleep(answer.gap_seconds)
        return response

    async def _break_stream(
        self,
        request: web.Request,
        asked: AskedRequest,
        answer: FakeAnswer,
        response: web.StreamResponse,
    ) -> None:
        if answer.fault == "error_event":
            import json

            text = json.dumps(write_error(asked.dialect, answer))
            await response.write(f"event: error\ndata: {text}\n\n".encode())
        elif answer.fault == "stall":
            await self._pause(LATE)
        elif answer.fault == "half":
            self._cut(request)

    async def _pause(self, seconds: float) -> None:
        if seconds:
            try:
                await asyncio.wait_for(self._ends.wait(), seconds)
            except TimeoutError:
                return

    @staticmethod
    def _cut(request: web.Request) -> None:
        if request.transport:
            request.transport.abort()
        raise asyncio.CancelledError

    def end(self) -> None:
        self._ends.set()


@contextmanager
def run_provider(answer: Any = None) -> Iterator[FakeProvider]:
    """Run a provider on a free port until the context ends."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    provider: FakeProvider

    async def serve() -> None:
        nonlocal provider
        provider = FakeProvider(answer)
        app = web.Application(client_max_size=64_000_000)
        for path in ("/v1/messages", "/v1/chat/completions"):
            app.router.add_post(path, provider.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await stop.wait()
        provider.end()
        await runner.cleanup()

    async def main() -> None:
        nonlocal stop
        stop = asyncio.Event()
        await serve()

    stop: asyncio.Event
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
