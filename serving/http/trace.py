"""The trace of a request, from the header `traceparent` of W3C Trace Context.

Source: https://www.w3.org/TR/trace-context-1/, section 3.2.
"""

import re
from collections.abc import Iterable

HEADER = b"traceparent"
FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
FIRST_VERSION = b"00"
NO_TRACE, NO_PARENT = b"0" * 32, b"0" * 16


def read_trace_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return a request's trace id, 32 hexadecimal digits; None where it has no valid one.

    As the standard says, a header that is not valid counts as none, and so do two of them. A later
    version of the standard may append fields.
    """
    found = [value for name, value in headers if name == HEADER]
    if len(found) != 1:
        return None
    match = FORM.fullmatch(found[0].strip())
    if not match or match[2] == NO_TRACE or match[3] == NO_PARENT:
        return None
    if match[1] == FIRST_VERSION and match[4] is not None:
        return None
    return match[2].decode()
