"""What a gateway reports about itself: health, readiness, metrics, counters, smoke test."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from serving.http.description import describe_api
from serving.http.keys import Keyring
from serving.http.replies import Reply, explain, render_json
from serving.log.counters import NO_STAGE, PARTS, ArmCounts, Counters
from serving.log.ledger import RequestLog
from serving.log.records import AssignedArm
from serving.log.worker_runs import export_runs, sum_counters
from serving.models.batching import Batcher
from serving.models.predictors import LoadedModel
from serving.routing.breaker import WorkerBreakers
from serving.routing.model_table import ModelTable, ServiceEntry
from serving.routing.shadow import ShadowCalls
from sluice.config.serving import GatewayConfig
from sluice.rollout.latency import edge_of

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STEP = 40
"""Fine buckets in one that is shown: neighbouring edges differ by the square root of 2."""
FIRST, LAST = -160, 1120
"""Fine buckets of the first and last edge shown: 0.25 ms and 16 s."""
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
    """Give a replica's counters by service, version and arm, summed over epochs."""
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
    """Give one gauge by its labels, such as the weight that each service is served at."""
    lines = [*_describe(name, "gauge", text)]
    lines += [render_sample(name, labels, value) for labels, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def render_sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """Give one line: name, labels, value."""
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


SECONDS = 2.0
"""How long the records may take, in which a healthy model answers them many times."""


async def smoke_candidate(seat: ServiceEntry) -> Reply:
    """Ask the candidate that a service's route names its fixed records; 409 where none is here."""
    if seat.lane is None:
        return explain(409, f"{seat.service}: no candidate is here; {seat.missing}".rstrip("; "))
    model = seat.lane.predictor.model
    why = await _find_fault(model)
    told = {"version": model.version, "rows": model.proved, "passed": not why, "why": why}
    return render_json({"service": seat.service, **told})


async def _find_fault(model: LoadedModel) -> str:
    """Say what is wrong; in a thread of its own, since a model that hangs keeps it."""
    if model.proof is None:
        return "the registry has no records to prove it on"
    batcher: Batcher[LoadedModel, str] = Batcher(
        lambda models: [item.find_fault() for item in models], f"{model.service} smoke"
    )
    try:
        async with asyncio.timeout(SECONDS):
            (why,) = await batcher.ask([model])
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except Exception as error:  # a model's own bug is what the test is for
        return f"{type(error).__name__}: it failed"
    finally:
        batcher.close()
    return why


class StatusPages:
    """One worker's pages; counters are those of its whole replica."""

    def __init__(
        self,
        replica: Path,
        config: GatewayConfig,
        keyring: Keyring,
        parts: tuple[RequestLog, WorkerBreakers, ShadowCalls],
        read_lineup: Callable[[], ModelTable],
    ) -> None:
        self.config, self.keyring = config, keyring
        self._replica, self._read_lineup = replica, read_lineup
        self._ledger, self._circuits, self._shadowing = parts
        self.is_draining = False

    async def healthz(self) -> Reply:
        """Say that the worker's event loop turns."""
        return render_json({"healthy": True})

    async def readyz(self) -> Reply:
        """Say whether requests are well here: 200, or 503 with what is amiss."""
        lineup, now = self._read_lineup(), time.monotonic()
        amiss = self._find_amiss(lineup)
        services = {name: self._tell_seat(seat, now) for name, seat in lineup.seats.items()}
        log = "low: the candidates get nothing" if self._ledger.is_low else "good"
        dropped = self._shadowing.dropped
        told = {"ready": not amiss, "amiss": amiss, "log": log, "services": services}
        told |= {"worker": self._ledger.life.name, "shadows_dropped": dropped}
        return render_json(told, 503 if amiss else 200)

    async def metrics(self) -> Reply:
        """Give the replica's counters as Prometheus text."""
        self._ledger.flush_counters()
        counters = await asyncio.to_thread(sum_counters, self._replica)
        lineup, now = self._read_lineup(), time.monotonic()
        weights: dict[Labels, float] = {}
        stale: dict[Labels, float] = {}
        for seat in lineup.seats.values():
            labels: Labels = (("service", seat.service),)
            weights[labels] = seat.belief.weight(now)
            stale[labels] = float(bool(self._say_reason(seat, now)))
        text = render_counters(counters)
        text += render_gauges("sluice_weight", "The candidate's share of units.", weights)
        words = "1 while a candidate that the route names gets nothing."
        text += render_gauges("sluice_candidate_off", words, stale)
        words = "1 while the log has no room for another segment."
        text += render_gauges("sluice_log_low", words, {(): float(self._ledger.is_low)})
        return Reply(200, text.encode(), content_type=CONTENT_TYPE.encode())

    async def counters(self) -> Reply:
        """Give each worker life's counters, the breakers and the routes, for a controller."""
        self._ledger.flush_counters()
        lives = await asyncio.to_thread(export_runs, self._replica)
        lineup, now = self._read_lineup(), time.monotonic()
        arms = []
        for seat in lineup.seats.values():
            if seat.belief.route and seat.belief.route.candidate:
                candidate = seat.belief.route.candidate
                arms.append((seat.service, candidate, AssignedArm.CANDIDATE))
            if seat.champion:
                arms.append((seat.service, seat.champion.version, AssignedArm.CHAMPION))
        routes = {name: self._tell_seat(seat, now) for name, seat in lineup.seats.items()}
        return render_json(
            {
                "replica": self._replica.name,
                "lives": lives,
                "breakers": self._circuits.describe(arms),
                "services": routes,
            }
        )

    async def openapi(self) -> Reply:
        """Give the description of the gateway as it serves now, OpenAPI 3.1."""
        return render_json(describe_api(self._read_lineup(), self.config, bool(self.keyring)))

    def _find_amiss(self, lineup: ModelTable) -> list[str]:
        amiss = ["this worker is ending"] if self.is_draining else []
        if self._ledger.is_broken:
            amiss.append("the log cannot be written")
        if not lineup.has_looked:
            amiss.append("no routes were read yet")
        absent = [seat for seat in lineup.seats.values() if seat.champion is None]
        return amiss + [f"{seat.service}: {seat.missing}" for seat in absent]

    def _tell_seat(self, seat: ServiceEntry, now: float) -> dict[str, Any]:
        route, champion = seat.belief.route, seat.champion
        return {
            "epoch": route.epoch if route else 0,
            "mode": str(route.mode) if route else "",
            "champion": champion.version if champion else None,
            "form": champion.form if champion else None,
            "why": champion.why if champion else seat.missing,
            "candidate": seat.belief.candidate(now) if seat.lane else None,
            "weight": seat.belief.weight(now),
            "reason": self._say_reason(seat, now),
        }

    def _say_reason(self, seat: ServiceEntry, now: float) -> str:
        """Say why a candidate that the route names gets nothing; empty where it gets its share."""
        route = seat.belief.route
        if route is None or route.candidate is None:
            return ""
        if self._ledger.is_low:
            return "the log has no room to spare"
        if reason := seat.belief.reason(now):
            return reason
        if seat.lane is None:
            return seat.missing
        closed = self._circuits.is_closed(route.service, route.candidate)
        return "" if closed else "the breaker is open"
