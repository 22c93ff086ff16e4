"""One attempt of a call over HTTP: its time limits, and its failures in words."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import msgspec

from sluice.adapters.llm.dialect import Dialect, ReplyUnreadable
from sluice.adapters.llm.keys import hide_key
from sluice.adapters.llm.openai import describe_error
from sluice.config.llm.providers import TimeLimits
from sluice.documents import parse_json
from sluice.errors import ProviderRefused, ProviderUnavailable, SluiceError
from sluice.prompts.calls.waits import TOO_MANY, is_transient, read_wait
from sluice.prompts.chat import TokenUsage
from sluice.traces import TraceSpan

OK = 200
LONGEST_BODY = 32_000_000
"""Bytes of an answer."""
LAST_SECONDS = 0.05
"""How long a provider may take to end a stream whose answer is complete."""
LONGEST_ERROR = 64_000
"""Bytes of an error's body that are read."""
STATUS_WORDS = {
    401: "refuses the key",
    403: "does not allow this key to do that",
    404: "does not know the model or the address",
    413: "refuses the request as too large",
    429: "is given too many requests",
    529: "is overloaded",
}


@dataclass
class CallTrace:
    """What happened in a call so far, for whoever counts its costs; it changes as the call runs."""

    attempts: int = 0
    statuses: list[int] = field(default_factory=list)
    usage: TokenUsage = field(default_factory=TokenUsage)
    """The tokens that the provider told so far."""
    may_have_cost: bool = False
    """Whether a provider may have worked on a request of the call."""
    is_fallback: bool = False
    """Whether the model's fallback was asked, because its own provider did not answer."""
    traceparent: str = ""
    """The header of this name that the provider gets; empty: none."""
    span: TraceSpan | None = None
    """The span of the call, where traces are sent."""
    has_lost_cost: bool = False
    """Whether the model's own provider may have worked before, and nobody told its cost."""


class AttemptFailed(Exception):  # noqa: N818
    """One attempt failed: the error to raise, and whether and when another may succeed."""

    def __init__(self, error: SluiceError, *, again: bool = False, was_sent: bool = True) -> None:
        super().__init__(str(error))
        self.error, self.again = error, again
        self.was_sent = was_sent
        """Whether the provider may have the request."""
        self.is_refusal = False
        """Whether the provider said that it is given too many requests."""
        self.wait: float | None = None
        """Seconds that the provider asks to wait."""


@dataclass(frozen=True)
class Link:
    """The way to one provider, as of one attempt; `key` never leaves it but in a header."""

    name: str
    url: str
    dialect: Dialect
    limits: TimeLimits
    key: str


class Deadlines:
    """When the parts of one attempt must be there, in the event loop's seconds."""

    def __init__(self, limits: TimeLimits, *, stream: bool) -> None:
        self._limits, self._is_streamed = limits, stream
        self._whole = _now() + limits.whole
        first = limits.first_byte if stream else limits.whole
        self._begin = min(_now() + first, self._whole)

    def find_next(self, *, has_begun: bool) -> tuple[float, str]:
        """Return when the next part must be there, and words for one that is not."""
        if has_begun and _now() + self._limits.gap < self._whole:
            words = f"sent nothing for {self._limits.gap:g} s in an answer (limits.gap)"
            return _now() + self._limits.gap, words
        if not has_begun and self._is_streamed and self._begin < self._whole:
            limit = f"{self._limits.first_byte:g} s (limits.first_byte)"
            return self._begin, f"did not begin its answer within {limit}"
        limit = f"{self._limits.whole:g} s (limits.whole)"
        return self._whole, f"did not finish its answer within {limit}"


@asynccontextmanager
async def post(
    session: aiohttp.ClientSession,
    link: Link,
    body: Mapping[str, object],
    deadlines: Deadlines,
    trace: CallTrace,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a request and give the answer whose status is 200.

    Raises:
        AttemptFailed: no connection, another status, or what fails while the answer is read.
    """
    cost_before, trace.may_have_cost = trace.may_have_cost, True
    try:
        async with await _send(session, link, body, deadlines, trace) as response:
            trace.statuses.append(response.status)
            if response.status != OK:
                trace.may_have_cost = cost_before
                raise await _explain_status(response, link)
            yield response
    except AttemptFailed as failure:
        if not failure.was_sent:
            trace.may_have_cost = cost_before
        raise
    except aiohttp.ClientPayloadError as error:
        raise _unavailable(link, "cut its answer in the middle") from error
    except (aiohttp.ClientError, OSError) as error:
        raise _unavailable(link, f"cut the connection ({type(error).__name__})") from error
    except ReplyUnreadable as error:
        raise _unavailable(link, hide_key(str(error), link.key)) from error


async def read_pieces(
    response: aiohttp.ClientResponse, link: Link, deadlines: Deadlines
) -> AsyncGenerator[bytes, None]:
    """Yield a body's pieces as they arrive.

    Raises:
        AttemptFailed: a piece takes too long.
        ReplyUnreadable: the body is longer than 32 MB.
    """
    size = 0
    pieces = aiter(response.content.iter_any())
    while True:
        moment, words = deadlines.find_next(has_begun=size > 0)
        try:
            async with asyncio.timeout_at(moment):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise _unavailable(link, words) from error
        size += len(piece)
        if size > LONGEST_BODY:
            raise ReplyUnreadable(f"sent an answer of more than {LONGEST_BODY} bytes")
        yield piece


async def read_to_end(response: aiohttp.ClientResponse) -> None:
    """Read what is behind a complete answer, so that its connection can be used again."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(LAST_SECONDS):
            async for _ in response.content.iter_any():
                pass


async def _send(
    session: aiohttp.ClientSession,
    link: Link,
    body: Mapping[str, object],
    deadlines: Deadlines,
    trace: CallTrace,
) -> aiohttp.ClientResponse:
    """Send a request and return the answer's beginning: its status and headers.

    Raises:
        AttemptFailed: there is no connection, or no answer in time.
    """
    moment, words = deadlines.find_next(has_begun=False)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=link.limits.connect)
    headers = {"content-type": "application/json", **link.dialect.authorize(link.key)}
    if trace.traceparent:
        headers["traceparent"] = trace.traceparent
    try:
        async with asyncio.timeout_at(moment):
            return await session.post(
                link.url + link.dialect.path,
                data=msgspec.json.encode(body),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            )
    except aiohttp.ConnectionTimeoutError as error:
        words = f"takes no connection within {link.limits.connect:g} s (limits.connect)"
        raise _unavailable(link, words, again=True, was_sent=False) from error
    except TimeoutError as error:
        raise _unavailable(link, words) from error
    except aiohttp.ClientConnectorError as error:
        reason = error.os_error.strerror or type(error).__name__
        words = f"cannot be reached at {link.url}: {reason}"
        raise _unavailable(link, words, again=True, was_sent=False) from error
    except (aiohttp.ClientError, OSError) as error:
        words = f"closed the connection without an answer ({type(error).__name__})"
        raise _unavailable(link, words, again=True) from error


def _now() -> float:
    return asyncio.get_running_loop().time()


def _unavailable(
    link: Link, words: str, *, again: bool = False, was_sent: bool = True
) -> AttemptFailed:
    error = ProviderUnavailable(f"provider '{link.name}' {words}")
    return AttemptFailed(error, again=again, was_sent=was_sent)


async def _explain_status(response: aiohttp.ClientResponse, link: Link) -> AttemptFailed:
    """Return the failure that a status other than 200 means, with the provider's own words."""
    status = response.status
    try:
        async with asyncio.timeout(link.limits.gap):
            raw = await response.content.read(LONGEST_ERROR)
    except (TimeoutError, aiohttp.ClientError):
        raw = b""
    text = raw.decode("utf-8", "replace")
    said = hide_key(_read_words(text), link.key)
    default = "fails" if status >= 500 else "refuses the request"
    words = f"provider '{link.name}' {STATUS_WORDS.get(status, default)} ({status})"
    words += f": {said}" if said else ""
    if not is_transient(status, text):
        return AttemptFailed(ProviderRefused(words))
    failure = AttemptFailed(ProviderUnavailable(words), again=True)
    failure.is_refusal = status == TOO_MANY
    failure.wait = read_wait(response.headers, datetime.now(UTC))
    return failure


def _read_words(text: str) -> str:
    """Return a provider's message, of JSON with an error in it or of plain text."""
    try:
        found = parse_json(text)
    except ValueError:
        return describe_error(text)
    if isinstance(found, dict):
        return describe_error(found.get("error", found.get("message", text)))
    return describe_error(text)
