"""Prefect's server application, whose writers take turns where its database is SQLite.

Prefect begins a transaction as a reader and lets it become a writer later. SQLite refuses that at
once where another transaction wrote in between ("database is locked"), however long the time-out
is. Prefect answers 503 then, and its pages and background services do not try again. Here each
transaction takes the write lock when it begins, and waits for it in the order of arrival.

Its background services look for due work once a second, not four times: that was most of what an
idle server costs.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from prefect.server.utilities.database import get_dialect
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


LOOK_SECONDS = 1.0
"""Pause of the background services between two looks; the shortest interval of one is 5 s."""


@dataclass
class _Turn:
    """One transaction's turn to write."""

    is_over: bool = False


_TURN: ContextVar[_Turn | None] = ContextVar("_TURN", default=None)


class TurnTakingSqlite(AioSqliteConfiguration):
    """A SQLite database in which one transaction at a time writes, first come, first served.

    A transaction that is begun inside another one begins as Prefect's own would: it must not wait
    for the one around it.
    """

    def __init__(self, connection_url: str) -> None:
        super().__init__(connection_url=connection_url)
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )

    @asynccontextmanager
    async def begin_transaction(
        self, session: "AsyncSession", with_for_update: bool = False
    ) -> "AsyncGenerator[AsyncSessionTransaction, None]":
        """Enter a transaction that holds the write lock from its first to its last moment."""
        turn = _TURN.get()
        if turn and not turn.is_over:
            async with super().begin_transaction(session, with_for_update) as inner:
                yield inner
            return
        # The turn comes before the connection: those that wait do not use up the pool.
        async with self._take_turn():
            mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
            try:
                async with session.begin() as transaction:
                    await session.connection()
                    SQLITE_BEGIN_MODE.set("DEFERRED")  # of other sessions inside the block
                    yield transaction
            finally:
                SQLITE_BEGIN_MODE.reset(mode)

    @asynccontextmanager
    async def _take_turn(self) -> AsyncIterator[None]:
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            turn = _Turn()
            token = _TURN.set(turn)
            try:
                yield
            finally:
                turn.is_over = True  # also for tasks that the block has started
                _TURN.reset(token)


def create_app() -> "FastAPI":
    """Return Prefect's server application, API, pages and background services.

    Its settings are those of the environment, as for `prefect server start`. A Postgres database
    is used as Prefect uses it.
    """
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url and get_dialect(url).name == "sqlite":
        MODELS_DEPENDENCIES["database_config"] = TurnTakingSqlite(url)
    from prefect.server.api import server

    look_rarely()
    return server.create_app()


def look_rarely() -> None:
    """Make the background services of this process look for due work once a second."""
    from docket import Worker
    from prefect.server.api import background_workers

    pause = timedelta(seconds=LOOK_SECONDS)
    vars(background_workers)["Worker"] = partial(
        Worker, scheduling_resolution=pause, minimum_check_interval=pause
    )
