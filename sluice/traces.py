"""Spans of OpenTelemetry: the names of their attributes, and what one is made of.

The names are those of the semantic conventions, version 1.44.0; those of Sluice begin with
`sluice.`. No attribute has a text that somebody asked or was answered.
"""

import re
import secrets
from dataclasses import dataclass, field
from typing import Literal

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the conventions that the names below are of."""
OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
REQUEST_MODEL, RESPONSE_MODEL = "gen_ai.request.model", "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
"""Seconds from the request to the first piece of a streamed answer."""
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
ERROR_TYPE = "error.type"
SERVICE, VERSION, ARM = "sluice.service", "sluice.version", "sluice.arm"
REQUEST_ID, COST = "sluice.request_id", "sluice.cost"
FLOW, FLOW_RUN = "sluice.flow", "sluice.flow_run.id"
SPAN_KINDS = {"internal": 1, "server": 2, "client": 3}
"""Numbers of the kinds in the protocol OTLP."""
PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 1
Attribute = str | int | float | tuple[str, ...]


@dataclass(frozen=True)
class TraceParent:
    """A caller's span: `trace_id` has 32 hexadecimal digits, `span_id` 16."""

    trace_id: str
    span_id: str
    is_sampled: bool = True

    @property
    def header(self) -> str:
        """The header `traceparent` that names it."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


@dataclass
class TraceSpan:
    """One span; times are in nanoseconds since 1970, `parent` is empty for the first of a trace."""

    name: str
    trace_id: str
    parent: str
    kind: Literal["internal", "server", "client"]
    start: int
    end: int = 0
    attributes: dict[str, Attribute] = field(default_factory=dict)
    error: str = ""
    """Why it failed, in one word that is never data; empty where it did not."""
    span_id: str = field(default_factory=lambda: make_id(8))

    @property
    def place(self) -> TraceParent:
        """The span as the parent of others."""
        return TraceParent(self.trace_id, self.span_id)


def make_id(size: int) -> str:
    """Return a random id of so many bytes, in hexadecimal digits, that is not zero."""
    while not int(found := secrets.token_hex(size), 16):
        pass
    return found


def read_parent(header: str) -> TraceParent | None:
    """Return the span that a header `traceparent` names; None where it is not valid.

    Source: https://www.w3.org/TR/trace-context-1/, section 3.2. A later version may append fields.
    """
    match = PARENT.fullmatch(header.strip())
    if not match or not int(match[2], 16) or not int(match[3], 16):
        return None
    if match[1] == "00" and match[5] is not None:
        return None
    return TraceParent(match[2], match[3], bool(int(match[4], 16) & SAMPLED))
