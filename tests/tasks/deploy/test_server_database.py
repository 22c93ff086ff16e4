"""Transactions of the Prefect server on a SQLite file: many at once, inside one another, ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.deploy.server import TurnTakingSqlite

WRITERS = 40
SECONDS = 20.0


def run(work: Awaitable[Any]) -> Any:
    """Run to the end; what hangs fails."""

    async def bounded() -> Any:
        return await asyncio.wait_for(work, SECONDS)

    return asyncio.run(bounded())


def sqlite(folder: Path, kind: Any = TurnTakingSqlite) -> Any:
    """Return the configuration of a file with one row that counts."""
    return kind(connection_url=f"sqlite+aiosqlite:///{folder}/prefect.db")


@asynccontextmanager
async def begin(config: Any, **given: bool) -> AsyncIterator[Any]:
    """Begin a transaction as Prefect's `session_context` does."""
    session = await config.session(await config.engine())
    async with session, config.begin_transaction(session, **given):
        yield session


async def fill(config: Any) -> None:
    async with begin(config) as session:
        await session.execute(sa.text("create table count (value integer)"))
        await session.execute(sa.text("insert into count values (0)"))


async def read(session: Any) -> int:
    return int((await session.execute(sa.text("select value from count"))).scalar_one())


async def write(session: Any, value: int) -> None:
    await session.execute(sa.text("update count set value = :value"), {"value": value})


async def count_up(config: Any) -> None:
    """Read, let the others on, then write: what a form's submission and a state change do."""
    async with begin(config) as session:
        found = await read(session)
        await asyncio.sleep(0.005)
        await write(session, found + 1)


async def count_up_at_once(config: Any) -> tuple[int, list[BaseException]]:
    """Count up so often at once; return the count, and what was raised."""
    await fill(config)
    ended = await asyncio.gather(
        *(count_up(config) for _ in range(WRITERS)), return_exceptions=True
    )
    async with begin(config) as session:
        return await read(session), [item for item in ended if item is not None]


def test_no_transaction_that_reads_and_then_writes_is_refused(tmp_path: Path) -> None:
    assert run(count_up_at_once(sqlite(tmp_path))) == (WRITERS, [])


def test_prefect_alone_refuses_them(tmp_path: Path) -> None:
    """If this fails, Prefect begins them otherwise by now, and ours is not needed any more."""
    from prefect.server.database.configurations import AioSqliteConfiguration

    count, raised = run(count_up_at_once(sqlite(tmp_path, AioSqliteConfiguration)))
    assert count < WRITERS
    assert all("database is locked" in str(item) for item in raised)


def test_writers_get_their_turn_in_the_order_of_arrival(tmp_path: Path) -> None:
    async def arrive(config: Any) -> list[int]:
        await fill(config)
        order: list[int] = []

        async def come(number: int) -> None:
            async with begin(config):
                order.append(number)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(come(number) for number in range(WRITERS)))
        return order

    assert run(arrive(sqlite(tmp_path))) == list(range(WRITERS))


def test_a_session_inside_a_transaction_reads_and_does_not_wait_for_it(tmp_path: Path) -> None:
    async def nest(config: Any) -> tuple[int, int]:
        await fill(config)
        async with begin(config) as outer:
            await write(outer, 5)
            async with begin(config) as inner:
                before = await read(inner)
            plain = await config.session(await config.engine())
            async with plain:
                return before, await read(plain)

    assert run(nest(sqlite(tmp_path))) == (0, 0)


def test_a_task_that_a_transaction_started_waits_for_its_own_turn_later(tmp_path: Path) -> None:
    async def start(config: Any) -> int:
        await fill(config)
        go = asyncio.Event()

        async def follow() -> None:
            await go.wait()
            await asyncio.gather(*(count_up(config) for _ in range(WRITERS)))

        async with begin(config) as session:
            task = asyncio.create_task(follow())
            await write(session, 1)
        go.set()
        await task
        async with begin(config) as session:
            return await read(session)

    assert run(start(sqlite(tmp_path))) == 1 + WRITERS


async def fail(config: Any) -> None:
    async def write_and_raise() -> None:
        async with begin(config) as session:
            await write(session, 7)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_raise()


async def cancel_one_that_writes(config: Any) -> None:
    async def wait() -> None:
        async with begin(config) as session:
            await write(session, 7)
            await asyncio.sleep(SECONDS * 2)

    await cancel(asyncio.create_task(wait()))


async def cancel_one_that_waits(config: Any) -> None:
    async with begin(config):
        await cancel(asyncio.create_task(count_up(config), context=Context()))


async def cancel(task: "asyncio.Task[None]") -> None:
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("end", [fail, cancel_one_that_writes, cancel_one_that_waits])
def test_the_next_one_has_its_turn_after(
    tmp_path: Path, end: Callable[[Any], Awaitable[None]]
) -> None:
    async def go_on(config: Any) -> int:
        await fill(config)
        await end(config)
        await count_up(config)
        async with begin(config) as session:
            return await read(session)

    assert run(go_on(sqlite(tmp_path))) == 1
