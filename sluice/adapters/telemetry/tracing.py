"""Spans sent to a collector by OTLP over HTTP, off the callers' way; nothing where none is named.

The collector is named as OpenTelemetry's own libraries have it: `OTEL_EXPORTER_OTLP_ENDPOINT` or
`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER_ARG` (the
share of new traces that is sampled, 0 to 1), `OTEL_SERVICE_NAME`.
"""

import atexit
import logging
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from queue import Empty, Full, Queue
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from sluice.errors import ConfigInvalid
from sluice.traces import SCHEMA_URL, SPAN_KINDS, Attribute, TraceParent, TraceSpan, make_id

LOG = logging.getLogger("sluice.traces")
ENDPOINT, TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
HEADERS, SHARE, NAME = "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SERVICE_NAME"
MOST_WAITING, AT_A_TIME = 4096, 512
"""Spans that wait at most, beyond which new ones are dropped; and those of one request."""
PAUSE_SECONDS, SEND_SECONDS, CLOSE_SECONDS = 1.0, 5.0, 3.0
FAILED = 2
"""The status code of a span that failed."""


class Tracer:
    """Begins spans and sends those that ended, from a thread of its own."""

    def __init__(self, url: str, headers: Mapping[str, str], share: float, name: str) -> None:
        self._url, self._headers, self._share, self._name = url, dict(headers), share, name
        self._waiting: Queue[TraceSpan] = Queue(MOST_WAITING)
        self._ends = threading.Event()
        self._is_away = False
        self._thread: threading.Thread | None = None
        self._pid = 0

    def begin(
        self,
        name: str,
        parent: TraceParent | None,
        kind: Literal["internal", "server", "client"] = "server",
    ) -> TraceSpan | None:
        """Return a new span; None where it is not sampled: the caller's choice goes first."""
        is_sampled = parent.is_sampled if parent else random.random() < self._share  # noqa: S311
        if not is_sampled:
            return None
        trace_id = parent.trace_id if parent else make_id(16)
        return TraceSpan(name, trace_id, parent.span_id if parent else "", kind, time.time_ns())

    def end(self, span: TraceSpan) -> None:
        """Send a span soon; it is dropped where too many wait. No call of it ever blocks."""
        span.end = span.end or time.time_ns()
        if self._pid != os.getpid():  # threads do not survive a fork
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(span)
        except Full:
            self._note_away("too many spans wait, and new ones are dropped")

    def close(self) -> None:
        """Send what waits, for at most a few seconds."""
        self._ends.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._ends.wait(PAUSE_SECONDS):
            self._send_waiting()
        self._send_waiting()

    def _send_waiting(self) -> None:
        while spans := self._take():
            self._send(spans)

    def _take(self) -> list[TraceSpan]:
        found: list[TraceSpan] = []
        try:
            while len(found) < AT_A_TIME:
                found.append(self._waiting.get_nowait())
        except Empty:
            pass
        return found

    def _send(self, spans: Sequence[TraceSpan]) -> None:
        import http.client
        import urllib.error
        import urllib.request

        headers = {"Content-Type": "application/x-protobuf", **self._headers}
        body = encode_spans(spans, self._name)
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=SEND_SECONDS):
                self._is_away = False
        except urllib.error.HTTPError as error:
            with error:
                self._note_away(f"the collector answers {error.code}")
        except (OSError, http.client.HTTPException) as error:
            self._note_away(f"the collector does not answer ({type(error).__name__})")

    def _note_away(self, reason: str) -> None:
        """Log a reason once while it lasts; spans are lost, and nothing else is."""
        if not self._is_away:
            LOG.warning("spans are not sent to %s: %s", urlsplit(self._url).netloc, reason)
        self._is_away = True


@lru_cache(maxsize=1)
def find_tracer() -> Tracer | None:
    """Return the process's tracer; None where the environment names no collector.

    Raises:
        ConfigInvalid: a variable of the environment is not valid.
    """
    tracer = read_tracer(os.environ)
    if tracer is not None:
        atexit.register(tracer.close)
    return tracer


def read_tracer(variables: Mapping[str, str]) -> Tracer | None:
    """Return the tracer that variables of an environment describe; None where they name none.

    Raises:
        ConfigInvalid: the address is none of HTTP, or the share is no number from 0 to 1.
    """
    url = variables.get(TRACES_ENDPOINT, "")
    if not url and (root := variables.get(ENDPOINT, "")):
        url = f"{root.rstrip('/')}/v1/traces"
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigInvalid(f"{ENDPOINT}: found '{url}'; allowed: http://HOST:PORT or https://HOST")
    text = variables.get(SHARE, "") or "1"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ConfigInvalid(f"{SHARE}: found '{text}'; allowed: a number from 0 to 1")
    pairs = (pair.partition("=") for pair in variables.get(HEADERS, "").split(",") if "=" in pair)
    headers = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    return Tracer(url, headers, share, variables.get(NAME, "") or "sluice")


@contextmanager
def trace_work(name: str, attributes: Mapping[str, Attribute]) -> Iterator[TraceSpan | None]:
    """Give the span of a piece of work, such as a flow run, which ends with the block.

    An error that leaves the block is named in it, and raised. Where no collector is named the
    block gets None, and nothing is imported.
    """
    tracer = find_tracer()
    span = tracer.begin(name, None, "internal") if tracer else None
    if tracer is None or span is None:
        yield None
        return
    span.attributes |= attributes
    try:
        yield span
    except BaseException as error:
        span.error = type(error).__name__
        raise
    finally:
        tracer.end(span)


def encode_spans(spans: Sequence[TraceSpan], name: str) -> bytes:
    """Return a request of OTLP with spans of the service `name`."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add(schema_url=SCHEMA_URL)
    _write(resource.resource.attributes, "service.name", name)
    scope = resource.scope_spans.add(schema_url=SCHEMA_URL)
    scope.scope.name = "sluice"
    for span in spans:
        made = scope.spans.add(
            trace_id=bytes.fromhex(span.trace_id),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent),
            name=span.name,
            kind=SPAN_KINDS[span.kind],
            start_time_unix_nano=span.start,
            end_time_unix_nano=span.end,
        )
        for key, value in span.attributes.items():
            _write(made.attributes, key, value)
        if span.error:
            _write(made.attributes, "error.type", span.error)
            made.status.code = FAILED
    encoded: bytes = request.SerializeToString()
    return encoded


def _write(attributes: Any, key: str, value: Attribute) -> None:
    found = attributes.add(key=key).value
    if isinstance(value, str):
        found.string_value = value
    elif isinstance(value, int):
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    else:
        for item in value:
            found.array_value.values.add(string_value=item)
