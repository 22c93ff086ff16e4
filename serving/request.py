"""A caller's request for a prediction, before any model is chosen."""

from typing import Annotated

import msgspec

from sluice.errors import RequestInvalid

MOST_CHARACTERS = 128
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_CHARACTERS)]
ALLOWED = (
    f"allowed: inputs (one record or a list), request_id and unit (texts of 1 to "
    f"{MOST_CHARACTERS} characters)"
)


class PredictRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of a request; `inputs` stay raw until the version that answers is known."""

    inputs: msgspec.Raw
    request_id: Name | None = None
    unit: Name | None = None
    """The user or session that the request belongs to; it decides the arm."""


_DECODER = msgspec.json.Decoder(PredictRequest)


def decode_request(body: bytes) -> PredictRequest:
    """Read a body: JSON in UTF-8, its fields known, its names short.

    Raises:
        RequestInvalid: it is something else; what was found and what is allowed are named.
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
