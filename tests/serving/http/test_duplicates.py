"""Duplicate fields are found at every depth; JSON is only parsed again where there may be one."""

import asyncio
import itertools
import json
import time
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.large_bodies import LARGE_BYTES, LargeBodies
from serving.http.requests import refuse_duplicates
from sluice.errors import RequestInvalid
from support.pace import slowed, slowed_processor

SPACE = b" " * (LARGE_BYTES + 1)
"""What makes a small body a large one, which is searched in another way."""
objects = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(objects)
def test_what_has_each_field_once_passes(value: object) -> None:
    refuse_duplicates(json.dumps(value).encode(), 0)


@pytest.mark.parametrize(
    "body", [b'{"a": 1, "a": 1}', b'{"b": [{"a": 1, "\\u0061" : 2}]}', b'{"a":{"a":1,"a":null}}']
)
def test_a_field_twice_is_named(body: bytes) -> None:
    for space in (b"", SPACE):
        with pytest.raises(RequestInvalid, match=r"^a: found twice"):
            refuse_duplicates(body + space, 1)


@pytest.mark.parametrize("space", [b"", SPACE], ids=["small", "large"])
def test_a_name_that_is_no_text_is_named_as_well_as_it_can_be(space: bytes) -> None:
    with pytest.raises(RequestInvalid, match="found twice") as caught:
        refuse_duplicates(b'{"\\ud800": 1, "\\ud800": 1}' + space, 1)
    str(caught.value).encode()


def test_with_no_more_colons_than_fields_nothing_can_be_there_twice() -> None:
    refuse_duplicates(b'{"a": 1, "b": 2}', 2)


def test_what_is_nested_too_deep_is_refused() -> None:
    for depth, space in itertools.product((100, 400), (b"", SPACE)):
        refuse_duplicates(b'{"a":' * depth + b"1" + b"}" * depth + space, 0)
    for depth, space in itertools.product((1000, 2000, 50_000), (b"", SPACE)):
        with pytest.raises(RequestInvalid, match="nested too deep"):
            refuse_duplicates(b'{"a":' * depth + b"1" + b"}" * depth + space, 0)


def list_twice(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return pairs


names = st.text(max_size=2) | st.sampled_from(["a", '"', "\\", "\u00e9", "\ud800", "{", "}", ":"])
bodies = st.recursive(
    st.sampled_from(["1", "null", '"x:{\\"}"', '"\\\\"', "-1.5e3"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(names, st.booleans(), inner), max_size=4).map(
            lambda fields: f"{{{', '.join(f'{write(*item[:2])} : {item[2]}' for item in fields)}}}"
        )
    ),
    max_leaves=12,
)


def write(name: str, escaped: bool) -> str:
    """Return a name as JSON, plain or with every character escaped."""
    if not escaped:
        return json.dumps(name, ensure_ascii=any(0xD800 <= ord(sign) < 0xE000 for sign in name))
    units = name.encode("utf-16-be", "surrogatepass").hex()
    signs = "".join(f"\\u{units[k : k + 4]}" for k in range(0, len(units), 4))
    return f'"{signs}"'


@pytest.mark.parametrize("space", ["", SPACE.decode()], ids=["small", "large"])
@given(text=bodies)
def test_it_finds_what_a_parser_finds(text: str, space: str) -> None:
    body = (text + space).encode()
    try:
        json.loads(text, object_pairs_hook=list_twice)
    except ValueError:
        with pytest.raises(RequestInvalid, match="found twice"):
            refuse_duplicates(body, 0)
    else:
        refuse_duplicates(body, 0)


@pytest.mark.parametrize("least", [0, 1])
def test_long_numbers_and_doubtful_texts_are_no_matter_of_this_search(least: int) -> None:
    refuse_duplicates(b'{"a": %s, "b": "\\ud800", "c": -1e999}' % (b"7" * 9000), least)


LARGE = 1 << 20
HOSTILE = {
    "many names": b"{%s}" % b",".join(b'"%x":1' % number for number in range(LARGE // 9)),
    "one name twice at the end": b'{%s,"0":1}'
    % b",".join(b'"%x":1' % number for number in range(LARGE // 9)),
    "one name always": b"{%s}" % b",".join([b'"a":1'] * (LARGE // 6)),
    "many objects": b"[%s]" % b",".join([b'{"a":1}'] * (LARGE // 8)),
    "deep objects": b"[%s]" % b",".join([b'{"a":' * 490 + b"1" + b"}" * 490] * (LARGE // 2942)),
    "a long list": b'{"a":[%s1]}' % (b"1," * (LARGE // 2)),
    "a text of quotes": b'{"a":"%s"}' % (b'\\"' * (LARGE // 2)),
    "names of escapes": b"{%s}" % b",".join(b'"\\u0061%x":1' % k for k in range(LARGE // 16)),
    "a long name": b'{"%s":1,"b":1}' % (b"a" * LARGE),
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_the_largest_body_costs_time_in_proportion_to_its_length(shape: str) -> None:
    began = time.process_time()
    with suppress(RequestInvalid):
        refuse_duplicates(HOSTILE[shape], 0)
    assert time.process_time() - began < slowed_processor(3), "a quadratic search takes minutes"


@pytest.mark.parametrize("shape", HOSTILE)
def test_while_a_large_body_is_searched_the_event_loop_runs(shape: str) -> None:
    body = b'{"request_id":"r","label":1,"x":%s}' % HOSTILE[shape]

    async def longest_pause() -> float:
        large, longest, ended = LargeBodies(), 0.0, False

        async def search() -> None:
            nonlocal ended
            with suppress(RequestInvalid):
                await large.read(body, partial(refuse_duplicates, least=0))
            ended = True

        task = asyncio.create_task(search())
        while not ended:
            began = time.thread_time()
            wall = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - wall - (time.thread_time() - began))
        await task
        return longest

    pauses = [asyncio.run(longest_pause()) for _ in range(3)]
    assert min(pauses) < slowed(0.05)
