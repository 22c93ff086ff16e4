"""A caller's request: its body read within limits, decoded strictly, with an id."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, TypeVar

import msgspec

from serving.http.large_bodies import LARGE_BYTES
from serving.http.replies import JSON, CallFailed, Receive, explain
from sluice.config.serving import LimitsConfig
from sluice.errors import RequestInvalid

ID_DIGITS = 24
ID_BLOCK = 256
"""Ids from one system call."""
CLOSE = (b"connection", b"close")
"""The rest of the body is still on its way: the connection cannot be used again."""
UNCHANGED = (b"", b"identity")
"""Values of `content-encoding` for a body as it is."""
MAX_CHARACTERS = 128
ALLOWED = (
    f"allowed: inputs (one record or a list), request_id and unit (texts of 1 to "
    f"{MAX_CHARACTERS} characters)"
)
Shape = TypeVar("Shape")
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CHARACTERS)]


class RequestIds:
    """One worker's supply of random request ids."""

    def __init__(self) -> None:
        self._digits = ""
        self._used = 0

    def take(self) -> str:
        """Return 96 random bits as hexadecimal digits."""
        if self._used >= len(self._digits):
            self._digits, self._used = os.urandom(ID_BLOCK * ID_DIGITS // 2).hex(), 0
        self._used += ID_DIGITS
        return self._digits[self._used - ID_DIGITS : self._used]


class CallerGone(Exception):  # noqa: N818
    """The caller hung up before its request was complete."""


async def read_body(
    receive: Receive, headers: Iterable[tuple[bytes, bytes]], limits: LimitsConfig
) -> bytes:
    """Return the whole body.

    The connection limits the time that it may take.

    Raises:
        CallFailed: 413 too large, 415 not JSON, or compressed.
        CallerGone: the caller hung up, or was too slow.
    """
    _check_headers(headers, limits.body_bytes)
    return await _gather(receive, limits.body_bytes)


def _check_headers(headers: Iterable[tuple[bytes, bytes]], most: int) -> None:
    kind = b""
    for name, value in headers:
        if name == b"content-length":
            if value.isdigit() and int(value[:20]) > most:
                raise _refuse_size(most)
        elif name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding" and value.strip().lower() not in UNCHANGED:
            raise _refuse_encoding(value)
    if kind != JSON:
        found = kind[:100].decode("latin-1") or "nothing"
        message = f"content-type: found {found}; allowed: application/json"
        raise CallFailed(explain(415, message, "", CLOSE))


def _refuse_encoding(value: bytes) -> CallFailed:
    """Return the refusal of a compressed body, of which nothing is read."""
    found = value[:100].decode("latin-1")
    message = f"content-encoding: found {found}; allowed: identity: a body that is not compressed"
    return CallFailed(explain(415, message, "", CLOSE, (b"accept-encoding", b"identity")))


async def _gather(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _refuse_size(most)
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _refuse_size(most: int) -> CallFailed:
    message = f"the body is too large; allowed: {most:,} bytes"
    return CallFailed(explain(413, message, "", CLOSE))


TOKEN = re.compile(rb'[{}]|"([^"\\]*+(?:\\.[^"\\]*+)*+)"(?:[ \t\r\n]*+(:))?', re.DOTALL)
"""A brace, or a text; the second group is there where the text is the name of a field."""
NAME = 2
OPENING = ord("{")
DEEPEST = 500
"""Objects inside each other in a large body; in a small one the parser ends at some 900."""
TOO_DEEP = "the body: found JSON that is nested too deep"


def refuse_duplicates(body: bytes, least: int) -> None:
    """Refuse JSON, valid otherwise, in which an object has a field twice; linear in its length.

    `least` is the number of fields that are known to be there once: with no more colons than that
    there can be no other field, and the body is not searched.

    Raises:
        RequestInvalid: a field is there twice, or objects are nested too deep.
    """
    if body.count(b":") <= least:
        return
    if len(body) > LARGE_BYTES:
        _search_in_steps(body)
        return
    try:
        _PARSER.decode(body.decode("utf-8"))
    except RecursionError as error:
        raise RequestInvalid(TOO_DEEP) from error


def _refuse_twice(fields: list[tuple[str, object]]) -> None:
    """Refuse an object with one of its fields there twice."""
    if len(dict(fields)) < len(fields):
        counts = Counter(name for name, _ in fields)
        raise _describe_twice(counts.most_common(1)[0][0])


_PARSER = json.JSONDecoder(object_pairs_hook=_refuse_twice, parse_int=str, parse_float=str)
"""A small body in one call, four times as fast as step by step; numbers stay texts."""


def _describe_twice(name: str) -> RequestInvalid:
    readable = name[:100].encode("utf-8", "replace").decode()
    return RequestInvalid(f"{readable}: found twice in one object; allowed: each field once")


def _search_in_steps(body: bytes) -> None:
    """Search a large body in Python: meanwhile the event loop can run in its own thread.

    One call into a parser would not let it.
    """
    names: set[bytes] = set()
    outer: list[set[bytes]] = []
    for token in TOKEN.finditer(body):
        if token.lastindex is None:
            if body[token.start()] == OPENING:
                if len(outer) == DEEPEST:
                    raise RequestInvalid(TOO_DEEP)
                outer.append(names)
                names = set()
            else:
                names = outer.pop()
        elif token.lastindex == NAME:
            name = token[1]
            if b"\\" in name:
                name = json.loads(b'"%s"' % name).encode("utf-8", "surrogatepass")
            if name in names:
                raise _describe_twice(name.decode("utf-8", "replace"))
            names.add(name)


class PredictRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of a request; `inputs` stay raw until the champion's signature decodes them."""

    inputs: msgspec.Raw
    request_id: Identifier | None = None
    unit: Identifier | None = None
    """The user or session that the request belongs to; it decides the arm."""


_DECODER = msgspec.json.Decoder(PredictRequest)


def decode_request(body: bytes) -> PredictRequest:
    """Decode a body: JSON in UTF-8, with known fields and short identifiers.

    Raises:
        RequestInvalid: it is anything else; the message names what was found and is allowed.
    """
    return decode_strictly(_DECODER, body, ALLOWED)


def decode_strictly(decoder: "msgspec.json.Decoder[Shape]", body: bytes, allowed: str) -> Shape:
    """Decode a body as a decoder's shape; `allowed` tells in words what the shape is.

    Raises:
        RequestInvalid: it is anything else; the message names what was found and is allowed.
    """
    try:
        if not body.isascii():
            body.decode("utf-8")
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"the body: found bytes that are not UTF-8; {allowed}") from error
    except RecursionError as error:
        raise RequestInvalid(f"the body: found JSON that is nested too deep; {allowed}") from error
    except msgspec.DecodeError as error:
        fault, _, place = str(error).replace("`", "").partition(" - at ")
        where = place.removeprefix("$.") or "the body"
        raise RequestInvalid(f"{where}: found: {fault}; {allowed}") from error
