"""A page that costs much is made once for all who ask at about the same time."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest

from serving.http.pages import StatusPages
from serving.http.replies import Reply, SharedReply, render_json
from serving.models.cache import CacheEntry, ModelCache
from support.gateway.application import run_application


class Page:
    """A page that takes a moment, and counts how often it was made."""

    def __init__(self, fails: bool = False) -> None:
        self.made = 0
        self.fails = fails

    async def make(self) -> Reply:
        self.made += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise OSError("no")
        return render_json(self.made)


def test_those_who_ask_together_get_one_reply_and_later_ones_a_new_one() -> None:
    async def test() -> None:
        page = Page()
        shared = SharedReply(page.make, 0.1)
        first = await asyncio.gather(*(shared.get() for _ in range(100)))
        assert {reply.body for reply in [*first, await shared.get()]} == {b"1"}
        await asyncio.sleep(0.15)
        assert (await shared.get()).body == b"2"
        assert page.made == 2

    asyncio.run(test())


def test_a_page_that_fails_fails_for_all_and_is_made_again() -> None:
    async def test() -> None:
        page = Page(fails=True)
        shared = SharedReply(page.make, 10)
        found = await asyncio.gather(*(shared.get() for _ in range(3)), return_exceptions=True)
        assert [type(item) for item in found] == [OSError] * 3
        page.fails = False
        assert (await shared.get()).body == b"2"

    asyncio.run(test())


def test_a_caller_that_goes_away_does_not_end_it_for_the_others() -> None:
    async def test() -> None:
        page = Page()
        shared = SharedReply(page.make, 10)
        gone, other = asyncio.ensure_future(shared.get()), asyncio.ensure_future(shared.get())
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert (await other).body == b"1"

    asyncio.run(test())


class CountedPages(StatusPages):
    """The gateway's pages, which count how often each that costs much is made."""

    made: ClassVar[Counter[str]] = Counter()

    async def metrics(self) -> Reply:
        self.made["/metrics"] += 1
        return await super().metrics()

    async def counters(self) -> Reply:
        self.made["/v1/counters"] += 1
        return await super().counters()

    async def openapi(self) -> Reply:
        self.made["/openapi.json"] += 1
        return await super().openapi()


@pytest.mark.parametrize("path", ["/metrics", "/v1/counters", "/openapi.json"])
def test_each_page_of_the_gateway_that_costs_much_is_made_once_for_many_callers(
    path: str, tmp_path: Path, models: ModelCache, kept: CacheEntry
) -> None:
    async def test() -> None:
        CountedPages.made.clear()
        async with run_application(tmp_path, models, kept, CountedPages) as gateway:
            replies = await asyncio.gather(*(gateway.ask(path) for _ in range(50)))
        assert {status for status, _ in replies} == {200}
        assert len({body for _, body in replies}) == 1
        assert CountedPages.made == {path: 1}

    asyncio.run(test())
