"""Connections have limits of size, time and number, and callers who ask keep theirs."""

import asyncio
import logging
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from serving.http.transport.connections import (
    SWEEP_SECONDS,
    Connections,
    fit_to_handles,
    name_address,
)
from sluice.config.serving import LimitsConfig
from support.gateway.server import GET, Caller, run, serve
from support.pace import slowed

POST = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
LATE = SWEEP_SECONDS + 1.5


def limit(**values: Any) -> LimitsConfig:
    return LimitsConfig(**values)


async def end_of(caller: Caller) -> float:
    """How many seconds pass until the server closes a connection."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await caller.is_closed()
    return loop.time() - began


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 3000 + b"\r\n\r\n",
        b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: a\r\n" * 600 + b"\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 3000,
        b"GET / HTTP/1.1\r\n" + b"a" * 3000,
        b"GET /" + b"a" * 3000,
    ],
)
def test_a_head_beyond_its_bytes_is_431_whole_or_not(head: bytes) -> None:
    async def test() -> None:
        async with serve(limit(header_bytes=2048)) as server:
            caller = await server.connect()
            await caller.send(head)
            assert await caller.status() == 431
            assert await caller.is_closed()

    run(test())


def test_a_head_that_comes_in_pieces_has_the_same_limit() -> None:
    async def test() -> None:
        async with serve(limit(header_bytes=2048)) as server:
            caller = await server.connect()
            await caller.send(b"GET / HTTP/1.1\r\n")
            for number in range(5000):
                await caller.send(b"x%d: %s\r\n" % (number, b"a" * 100))
                if number % 10 == 0:
                    await asyncio.sleep(0)
                if len(server.places) == 0:
                    break
            assert number < 4999
            assert server.answered == 0

    run(test())


def test_requests_in_one_packet_count_each_for_itself() -> None:
    async def test() -> None:
        async with serve(limit(header_bytes=2048)) as server:
            caller = await server.connect()
            body = POST % 60_000 + b"x" * 60_000
            await caller.send(body + GET * 3 + body + GET[:20])
            assert [await caller.status() for _ in range(5)] == [200] * 5
            await caller.send(GET[20:])
            assert await caller.status() == 200

    run(test())


@pytest.mark.parametrize(
    ("start", "trickle", "status"),
    [
        (b"", b"", 0),
        (b"GET / HTTP/1.1\r\n", b"x: y\r\n", 408),
        (POST % 1000, b"x", 408),
        (CHUNKED, b"1\r\nx\r\n", 408),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"x: y\r\n", 408),
    ],
    ids=["silent", "headers", "body", "chunks", "trailers"],
)
def test_what_never_becomes_a_request_ends_by_the_clock(
    start: bytes, trickle: bytes, status: int
) -> None:
    async def test() -> None:
        async with serve(limit(header_seconds=1, body_seconds=1)) as server:
            caller, loop = await server.connect(), asyncio.get_running_loop()
            began = loop.time()
            await caller.send(start)
            while len(server.places) and loop.time() < began + 10:
                await caller.send(trickle)
                await asyncio.sleep(0.05)
            assert loop.time() - began < slowed(1 + LATE)
            assert await caller.status() == status
            await server.until(lambda: server.waiting == 0)

    run(test())


def test_a_body_that_pauses_ends_before_its_time() -> None:
    async def test() -> None:
        async with serve(limit(body_seconds=60, stall_seconds=1)) as server:
            caller = await server.connect()
            await caller.send(POST % 10 + b"x")
            assert await caller.status() == 408

    run(test())


def test_a_connection_without_a_request_is_closed_and_one_that_asks_is_not() -> None:
    async def test() -> None:
        async with serve(limit(header_seconds=1, idle_seconds=1)) as server:
            idle, busy = await server.connect(), await server.connect()
            await idle.send(GET)
            assert await idle.status() == 200
            waiting = asyncio.create_task(end_of(idle))
            while not waiting.done():
                await busy.send(GET)
                assert await busy.status() == 200
                await asyncio.sleep(0.1)
            assert 0.9 < waiting.result() < slowed(1 + LATE)

    run(test())


def test_a_request_at_work_has_no_limit_of_the_connection() -> None:
    async def test() -> None:
        limits = limit(header_seconds=0.2, body_seconds=0.2, stall_seconds=0.2, idle_seconds=0.2)
        async with serve(limits, delay=1.5) as server:
            caller = await server.connect()
            await caller.send(POST % 3 + b"abc")
            assert await caller.status() == 200

    run(test())


def test_a_caller_that_takes_no_replies_is_cut_off() -> None:
    async def test() -> None:
        async with serve(limit(stall_seconds=1)) as server:
            caller = await server.connect()
            caller.writer.transport.pause_reading()
            for number in range(100):
                await caller.send(GET.replace(b"/ ", b"/large ", 1))
                await asyncio.sleep(0.01)
                if server.answered < number:
                    break
            assert server.waiting == 1
            await server.until(lambda: len(server.places) == 0)
            await server.until(lambda: server.waiting == 0)

    run(test())


@pytest.mark.parametrize(
    "part",
    [b"1;%s\r\nx\r\n" % (b"a" * 1000), b"0" * 1000 + b"1\r\nx\r\n"],
    ids=["extensions", "leading zeros"],
)
def test_what_surrounds_the_parts_of_a_body_is_limited_too(part: bytes) -> None:
    async def test() -> None:
        async with serve(limit(body_bytes=1024, header_bytes=1024)) as server:
            caller = await server.connect()
            await caller.send(CHUNKED)
            await server.until(lambda: len(server.places) == 1)
            sent = 0
            while sent < 1000 and len(server.places):
                await caller.send(part)
                await asyncio.sleep(0.001)
                sent += 1
            assert sent < 100
            assert await caller.status() in (0, 400, 413)

    run(test())


def test_a_caller_that_waits_for_no_reply_is_cut_off() -> None:
    async def test() -> None:
        async with serve(limit(), delay=0.1) as server:
            caller = await server.connect()
            await caller.send(GET * 10)
            assert [await caller.status() for _ in range(10)] == [200] * 10
            await caller.send(GET * 1000)
            assert await caller.is_closed()
            await server.until(lambda: server.waiting == 0)
            assert server.answered < 20

    run(test())


def test_bytes_of_unfinished_requests_are_limited_in_all() -> None:
    async def test() -> None:
        limits = limit(body_bytes=1 << 18, incoming_bytes=1 << 20, connections_per_address=100)
        async with serve(limits) as server:
            callers = [await server.connect() for _ in range(12)]
            for caller in callers:
                await caller.send(POST % (1 << 18) + b"x" * ((1 << 18) - 1))
            await server.until(lambda: len(server.places) < 5)
            assert server.places.incoming <= 1 << 20
            for caller in callers[:3]:
                assert await caller.status() in (503, 0), "the oldest ones are ended"
            await callers[-1].send(b"x")
            assert await callers[-1].status() == 200

    run(test())


@pytest.mark.parametrize("others", [b"", GET, b"GET / HTTP", POST % 9 + b"x"])
def test_a_caller_who_asks_keeps_its_connection_while_others_open_more(others: bytes) -> None:
    async def test() -> None:
        limits = limit(connections=20, connections_per_address=20, header_seconds=60)
        async with serve(limits) as server:
            good = await server.connect()
            more = []
            for number in range(100):
                more.append(await server.connect())
                await more[-1].send(others)
                if number % 10 == 0:
                    await good.send(GET)
                    assert await good.status() == 200
            await server.until(lambda: len(server.places) == 20)
            assert await more[0].status() in (0, 200, 503)
            assert await more[0].is_closed()
            late = await server.connect()
            for caller in (good, late):
                await caller.send(GET)
                assert await caller.status() == 200

    run(test())


def test_one_address_takes_no_places_of_others() -> None:
    async def test() -> None:
        limits = limit(connections=20, connections_per_address=8, header_seconds=60)
        async with serve(limits) as server:
            idle = await server.connect("127.0.0.2")
            for _ in range(30):
                await server.connect("127.0.0.3")
            await server.until(lambda: len(server.places) == 9)
            await idle.send(GET)
            assert await idle.status() == 200

    run(test())


def test_the_address_with_most_connections_makes_room_for_the_others() -> None:
    async def test() -> None:
        limits = limit(connections=20, connections_per_address=20, header_seconds=60)
        async with serve(limits) as server:
            idle = await server.connect("127.0.0.2")
            for place in range(40):
                await server.connect(f"127.0.0.{3 + place % 2}")
            await server.until(lambda: len(server.places) == 20)
            await idle.send(GET)
            assert await idle.status() == 200

    run(test())


def test_a_body_in_tiny_chunks_is_refused_and_costs_the_others_little() -> None:
    async def test() -> None:
        async with serve(limit()) as server:
            good, loop = await server.connect(), asyncio.get_running_loop()
            callers = [await server.connect() for _ in range(4)]
            sending = [
                asyncio.create_task(caller.send(CHUNKED + b"1\r\nx\r\n" * 200_000))
                for caller in callers
            ]
            waits = []
            for _ in range(20):
                began = loop.time()
                await good.send(GET)
                assert await good.status() == 200
                waits.append(loop.time() - began)
            await asyncio.gather(*sending)
            assert sorted(waits)[-3] < slowed(0.25)
            assert {await caller.status() for caller in callers} <= {413, 0}
            assert server.answered == 20

    run(test())


@pytest.mark.parametrize(("chunks", "size"), [(1000, 1), (20_000, 50)])
def test_a_body_in_many_chunks_is_whole(chunks: int, size: int) -> None:
    async def test() -> None:
        async with serve(limit()) as server:
            caller = await server.connect()
            await caller.send(CHUNKED + (b"%x\r\n" % size + b"x" * size + b"\r\n") * chunks)
            await caller.send(b"0\r\n\r\n")
            head = await caller.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert b'"bytes":%d' % (chunks * size) in await caller.reader.read(1000)

    run(test())


def test_a_request_at_work_is_never_closed_for_a_newcomer() -> None:
    async def test() -> None:
        limits = limit(connections=8, connections_per_address=8)
        async with serve(limits, delay=0.5) as server:
            callers = [await server.connect() for _ in range(8)]
            for caller in callers:
                await caller.send(GET)
            await server.until(lambda: server.waiting == 8)
            refused = await server.connect()
            assert await refused.is_closed()
            assert [await caller.status() for caller in callers] == [200] * 8

    run(test())


def test_what_is_not_http_behind_a_request_leaves_its_reply() -> None:
    async def test() -> None:
        async with serve(limit(), delay=0.2) as server:
            caller = await server.connect()
            await caller.send(GET)
            await server.until(lambda: server.waiting == 1)
            await caller.send(b"\0\0\0\r\n\r\n")
            assert await caller.status() == 200
            assert await caller.is_closed()

    run(test())


@pytest.fixture
def handles() -> Iterator[tuple[int, int]]:
    """The limits of file handles, which are as before afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_file_handles_is_raised_for_the_connections(handles: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, handles[1]))
    assert fit_to_handles(400) == 400
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1000


def test_where_it_cannot_be_raised_fewer_connections_are_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    with caplog.at_level(logging.WARNING):
        assert Connections(limit()).most == 512
    assert "512 fit below the limit of 1024 file handles, not 1000" in caplog.text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::1", True),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (name_address(one) == name_address(other)) is same
