"""JSON of callers read strictly, and events of answers written."""

from typing import Any

import msgspec

from serving.http.replies import Reply
from serving.http.requests import Shape, decode_strictly, refuse_duplicates

_ENCODER = msgspec.json.Encoder()


def decode_json(decoder: "msgspec.json.Decoder[Shape]", body: bytes, allowed: str) -> Shape:
    """Return a body as a decoder's shape, with each field once.

    Raises:
        RequestInvalid: it is anything else; the message names what was found and is allowed.
    """
    found = decode_strictly(decoder, body, allowed)
    refuse_duplicates(body, 0)
    return found


def write_event(values: Any, name: str = "") -> bytes:
    """Return a server-sent event with values as JSON, and its name where it has one."""
    data = _ENCODER.encode(values)
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data) if name else b"data: %s\n\n" % data


def read_error(reply: Reply) -> tuple[str, str]:
    """Return the message of an error of the gateway, and the request's id where it has one."""
    found = msgspec.json.decode(reply.body, type=dict[str, str])
    return found["error"], found.get("request_id", "")
