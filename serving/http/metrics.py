"""The counters of a replica as Prometheus text."""

from collections.abc import Iterable, Iterator, Mapping

from serving.log.counters import NO_STAGE, PARTS, ArmCounts, Counters
from sluice.monitoring.signals import Signal
from sluice.rollout.latency import edge_of

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
STEP = 40
"""Fine buckets in one that is exported: neighbouring edges differ by the square root of 2."""
FIRST, LAST = -160, 1120
"""Fine buckets of the first and last exported edge: 0.25 ms and 16 s."""
Labels = tuple[tuple[str, str], ...]

COUNTS = (
    ("sluice_requests_total", "requests", 1, "Requests by the arm that they were assigned to."),
    ("sluice_failures_total", "failures", 1, "Requests that the assigned arm failed."),
    ("sluice_fallbacks_total", "fallbacks", 1, "Requests that the champion answered instead."),
    ("sluice_guardrail_hits_total", "guardrails", 1, "Requests with a guardrail hit."),
    ("sluice_cost_total", "spent", PARTS, "What the answers cost."),
    ("sluice_feedbacks_total", "feedbacks", 1, "Ratings that arrived."),
    ("sluice_negative_feedbacks_total", "negatives", 1, "Ratings below 0."),
    ("sluice_feedback_records_total", "arrived", 1, "Labels, ratings and values that arrived."),
    ("sluice_compared_total", "compared", 1, "Answers in shadow compared with the champion's."),
    ("sluice_differing_total", "differing", 1, "Answers in shadow unlike the champion's."),
    ("sluice_input_tokens_total", "input_tokens", 1, "Tokens that language models were sent."),
    ("sluice_output_tokens_total", "output_tokens", 1, "Tokens of their answers."),
)
LATENCY = "sluice_latency_seconds"
FIRST_BYTE = "sluice_first_byte_seconds"
HITS = "sluice_guardrail_rule_hits_total"
SIGNAL_GAUGES = (
    ("sluice_signal", "value", "The newest value of a signal of monitoring, in its own unit."),
    ("sluice_signal_bound", "bound", "The end of its one-sided 95 % interval."),
    ("sluice_signal_confirmed", "confirmed", "1 where the test of the same window found it too."),
    ("sluice_signal_rows", "n", "Rows or requests behind its value."),
)


def render_counters(counters: Counters) -> str:
    """Return a replica's counters by service, version and arm, summed over epochs."""
    sums = _sum_epochs(counters)
    lines: list[str] = []
    for name, field, parts, text in COUNTS:
        lines += _describe(name, "counter", text)
        for labels, counts in sums.items():
            value = getattr(counts, field)
            lines.append(render_sample(name, labels, value if parts == 1 else value / parts))
    lines += _describe(LATENCY, "histogram", "The assigned arm's own time where it answered.")
    for labels, counts in sums.items():
        lines += _render_histogram(LATENCY, labels, counts.latencies, counts.latency_us)
    lines += _render_language(sums)
    return "".join(f"{line}\n" for line in lines)


def render_gauges(name: str, text: str, values: Mapping[Labels, float]) -> str:
    """Return one gauge by its labels, such as the candidate's weight of each service."""
    lines = [*_describe(name, "gauge", text)]
    lines += [render_sample(name, labels, value) for labels, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def render_signals(signals: Iterable[Signal]) -> str:
    """Return the newest signals that were recorded, with what a rule needs of each.

    A signal that could not be measured has its time only.
    """
    found = [(_label_signal(signal), signal) for signal in signals]
    parts: dict[str, dict[Labels, float]] = {
        name: {
            labels: float(value)
            for labels, signal in found
            if (value := getattr(signal, field)) is not None
        }
        for name, field, _ in SIGNAL_GAUGES
    }
    times = {labels: signal.end.timestamp() for labels, signal in found}
    text = "".join(
        render_gauges(name, words, parts[name]) for name, _, words in SIGNAL_GAUGES if parts[name]
    )
    words = "When a signal's window ended, in seconds since 1970."
    return text + (render_gauges("sluice_signal_timestamp_seconds", words, times) if times else "")


def _label_signal(signal: Signal) -> Labels:
    return (("service", signal.service), ("signal", signal.name), ("subject", signal.subject))


def render_sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """Return one line: name, labels, value."""
    inner = ",".join(f'{key}="{_escape(item)}"' for key, item in labels)
    return f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}"


def _sum_epochs(counters: Counters) -> dict[Labels, ArmCounts]:
    sums: dict[Labels, ArmCounts] = {}
    for key, counts in sorted(counters.counts.items()):
        if key.stage == NO_STAGE:
            pairs = (("service", key.service), ("version", str(key.version)), ("arm", str(key.arm)))
            sums.setdefault(pairs, ArmCounts()).add_counts(counts)
    return sums


def _render_language(sums: Mapping[Labels, ArmCounts]) -> Iterator[str]:
    """Yield what only prompts and language models have; nothing where none was asked."""
    streamed = {labels: counts for labels, counts in sums.items() if counts.first_bytes}
    if streamed:
        yield from _describe(FIRST_BYTE, "histogram", "Time to the first byte of streamed answers.")
    for labels, counts in streamed.items():
        yield from _render_histogram(FIRST_BYTE, labels, counts.first_bytes, counts.first_byte_us)
    hit = {labels: counts.hits for labels, counts in sums.items() if counts.hits}
    if hit:
        yield from _describe(HITS, "counter", "What guardrails found in questions and answers.")
    for labels, hits in hit.items():
        for name, n in sorted(hits.items()):
            side, rule, action = name.split(":")
            more = (("side", side), ("rule", rule), ("action", action))
            yield render_sample(HITS, (*labels, *more), n)


def _render_histogram(
    name: str, labels: Labels, counts: Mapping[int, int], microseconds: int
) -> Iterator[str]:
    answered = sum(counts.values())
    for edge in range(FIRST, LAST + 1, STEP):
        below = sum(n for bucket, n in counts.items() if bucket <= edge)
        limit = ("le", repr(edge_of(edge) / 1000))
        yield render_sample(f"{name}_bucket", (*labels, limit), below)
    yield render_sample(f"{name}_bucket", (*labels, ("le", "+Inf")), answered)
    yield render_sample(f"{name}_sum", labels, microseconds / 1e6)
    yield render_sample(f"{name}_count", labels, answered)


def _describe(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
