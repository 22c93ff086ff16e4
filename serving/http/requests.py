"""A caller's request: its body read within limits, decoded strictly, with an id."""

import json
import os
import re
from collections.abc import Iterable
from typing import Annotated

import msgspec

from serving.http.replies import JSON, CallFailed, Receive, explain
from sluice.config.serving import LimitsConfig
from sluice.errors import RequestInvalid

ID_DIGITS = 24
ID_BLOCK = 256
"""Ids from one system call."""
CLOSE = (b"connection", b"close")
"""The rest of the body is still on its way: the connection cannot be used again."""
MAX_CHARACTERS = 128
ALLOWED = (
    f"allowed: inputs (one record or a list), request_id and unit (texts of 1 to "
    f"{MAX_CHARACTERS} characters)"
)
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
        CallFailed: 413 too large, 415 not JSON.
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
    if kind != JSON:
        found = kind[:100].decode("latin-1") or "nothing"
        message = f"content-type: found {found}; allowed: application/json"
        raise CallFailed(explain(415, message, "", CLOSE))


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
DEEPEST = 1000
"""Objects inside each other; the decoder of a body goes no deeper either."""


def refuse_duplicates(body: bytes, least: int) -> None:
    """Refuse JSON, valid otherwise, in which an object has a field twice; linear in its length.

    The search is in Python, step by step: while a thread searches a large body the event loop can
    run, which one call into a parser would not let it.

    `least` is the number of fields that are known to be there once: with no more colons than that
    there can be no other field, and the body is not searched.

    Raises:
        RequestInvalid: a field is there twice, or objects are nested too deep.
    """
    if body.count(b":") <= least:
        return
    names: set[bytes] = set()
    outer: list[set[bytes]] = []
    for token in TOKEN.finditer(body):
        if token.lastindex is None:
            if body[token.start()] == OPENING:
                if len(outer) == DEEPEST:
                    raise RequestInvalid("the body: found JSON that is nested too deep")
                outer.append(names)
                names = set()
            else:
                names = outer.pop()
        elif token.lastindex == NAME:
            name = token[1]
            if b"\\" in name:
                name = json.loads(b'"%s"' % name).encode("utf-8", "surrogatepass")
            if name in names:
                twice = name[:100].decode("utf-8", "replace")
                message = f"{twice}: found twice in one object; allowed: each field once"
                raise RequestInvalid(message)
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
    try:
        if not body.isascii():
            body.decode("utf-8")
        return _DECODER.decode(body)
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"the body: found bytes that are not UTF-8; {ALLOWED}") from error
    except RecursionError as error:
        raise RequestInvalid(f"the body: found JSON that is nested too deep; {ALLOWED}") from error
    except msgspec.DecodeError as error:
        fault, _, place = str(error).replace("`", "").partition(" - at ")
        where = place.removeprefix("$.") or "the body"
        raise RequestInvalid(f"{where}: found: {fault}; {ALLOWED}") from error
