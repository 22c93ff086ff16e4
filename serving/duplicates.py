"""A field that a request names twice: parsers disagree on which one counts, so neither does."""

import json
from typing import Any

from sluice.errors import RequestInvalid


def refuse_duplicates(body: bytes, least: int) -> None:
    """Refuse JSON, valid otherwise, in which an object has a field twice.

    `least` is how many fields it has at least, each once, which the caller proved: with no more
    colons than that there can be no other field, and nothing need be read again.

    Raises:
        RequestInvalid: a field is there twice, or the JSON is nested too deep.
    """
    if body.count(b":") <= least:
        return
    try:
        # Numbers stay texts: a whole number of a million digits would cost seconds.
        json.loads(body, object_pairs_hook=_check, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise RequestInvalid("the body: found JSON that is nested too deep") from error


def _check(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) == len(pairs):
        return
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise RequestInvalid(f"{twice[:100]}: found twice in one object; allowed: each field once")
