"""A page that costs much is made once for all who ask at about the same time."""

import asyncio

import pytest

from serving.http.replies import Reply, SharedReply, render_json


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
