"""Answers that are given again to the same question, where a service's settings allow it."""

from collections import OrderedDict
from dataclasses import replace

from sluice.prompts.chat import ChatReply, TokenUsage


class AnswerCache:
    """One worker's answers of one service, the ones used last.

    A key has the identity of the prompt's version: another version never answers from here.
    """

    def __init__(self, seconds: float, entries: int) -> None:
        self._seconds, self._entries = seconds, entries
        self._kept: OrderedDict[str, tuple[float, ChatReply]] = OrderedDict()

    def find(self, key: str, now: float) -> ChatReply | None:
        """Return an answer that is kept, which costs nothing now; None where there is none.

        `now` is in monotonic seconds.
        """
        found = self._kept.get(key)
        if found is None:
            return None
        if now >= found[0]:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        nothing = TokenUsage(input=0, output=0)
        return replace(found[1], usage=nothing, cost=0.0, seconds=0.0, first_token_seconds=None)

    def keep(self, key: str, reply: ChatReply, now: float) -> None:
        """Keep a whole answer; the one that was not used for longest goes where there is no room.

        An answer that was cut short is not kept.
        """
        if self._seconds <= 0 or reply.finish_reason not in ("stop", "tool_calls"):
            return
        self._kept[key] = (now + self._seconds, reply)
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)
