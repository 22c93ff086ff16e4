"""The counters of a replica as Prometheus text."""

from collections.abc import Iterable, Iterator, Mapping

from serving.log.counters import NO_STAGE, PARTS, ArmCounts, Counters
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
    ("sluice_compared_total", "compared", 1, "Answers in shadow compared with the champion's."),
    ("sluice_differing_total", "differing", 1, "Answers in shadow unlike the champion's."),
)
LATENCY = "sluice_latency_seconds"


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
        lines += _render_histogram(labels, counts)
    return "".join(f"{line}\n" for line in lines)


def render_gauges(name: str, text: str, values: Mapping[Labels, float]) -> str:
    """Return one gauge by its labels, such as the candidate's weight of each service."""
    lines = [*_describe(name, "gauge", text)]
    lines += [render_sample(name, labels, value) for labels, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


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


def _render_histogram(labels: Labels, counts: ArmCounts) -> Iterator[str]:
    answered = sum(counts.latencies.values())
    for edge in range(FIRST, LAST + 1, STEP):
        below = sum(n for bucket, n in counts.latencies.items() if bucket <= edge)
        limit = ("le", repr(edge_of(edge) / 1000))
        yield render_sample(f"{LATENCY}_bucket", (*labels, limit), below)
    yield render_sample(f"{LATENCY}_bucket", (*labels, ("le", "+Inf")), answered)
    yield render_sample(f"{LATENCY}_sum", labels, counts.latency_us / 1e6)
    yield render_sample(f"{LATENCY}_count", labels, answered)


def _describe(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
