"""Server-sent events, in pieces of any size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.adapters.llm.dialect import ReplyUnreadable, ServerEvent
from sluice.adapters.llm.events import LONGEST_LINE, EventDecoder

BODY = (
    ": a comment\n\nevent: first\r\ndata: one\r\n\r\ndata:two\ndata: three\n\n"
    "event: empty\n\nid: 4\ndata: ☀\nretry: 10\n\ndata: without an end"
).encode()
EVENTS = [
    ServerEvent("first", b"one"),
    ServerEvent("", b"two\nthree"),
    ServerEvent("", "☀".encode()),
]


@given(st.lists(st.integers(0, len(BODY)), max_size=30))
def test_events_are_the_same_in_whatever_pieces_they_arrive(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(BODY)]
    decoder = EventDecoder()
    pieces = [BODY[start:end] for start, end in pairwise(ends)]
    assert [event for piece in pieces for event in decoder.feed(piece)] == EVENTS


def test_a_line_without_an_end_is_refused() -> None:
    decoder = EventDecoder()
    decoder.feed(b"data: " + b"x" * (LONGEST_LINE - 10))
    with pytest.raises(ReplyUnreadable, match="a line of more than"):
        decoder.feed(b"y" * 20)
