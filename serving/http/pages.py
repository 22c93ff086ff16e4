"""What a gateway reports about itself: health, readiness, metrics, counters, smoke test."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from serving.http.description import describe_api
from serving.http.keys import Keyring
from serving.http.metrics import CONTENT_TYPE, Labels, render_counters, render_gauges
from serving.http.replies import Reply, SharedReply, explain, render_json
from serving.log.records import AssignedArm
from serving.log.request_log import RequestLog
from serving.log.worker_runs import export_runs, sum_counters
from serving.models.batching import Batcher
from serving.models.predictors import LoadedModel
from serving.routing.breaker import WorkerBreakers
from serving.routing.model_table import ModelTable, RouteState, ServiceEntry
from serving.routing.shadow import ShadowCalls
from sluice.config.serving import GatewayConfig

SMOKE_SECONDS = 2.0
"""Time limit of a smoke test, in which a healthy model answers its records many times."""


class StatusPages:
    """One worker's pages; the counters are those of its whole replica."""

    def __init__(
        self,
        replica: Path,
        config: GatewayConfig,
        keyring: Keyring,
        parts: tuple[RequestLog, WorkerBreakers, ShadowCalls],
        read_table: Callable[[], ModelTable],
    ) -> None:
        self.config, self.keyring = config, keyring
        self._replica, self._read_table = replica, read_table
        self._request_log, self._breakers, self._shadow_calls = parts
        self._smokes: dict[str, SharedReply] = {}
        self.is_draining = False

    async def healthz(self) -> Reply:
        """Report liveness: the worker's event loop runs."""
        return render_json({"healthy": True})

    async def readyz(self) -> Reply:
        """Report readiness: 200, or 503 with the problems."""
        table, now = self._read_table(), time.monotonic()
        problems = self._list_problems(table)
        services = {name: self._describe(entry, now) for name, entry in table.entries.items()}
        log = "low: the candidates get nothing" if self._request_log.is_low else "good"
        values = {"ready": not problems, "problems": problems, "log": log, "services": services}
        dropped = self._shadow_calls.dropped
        values |= {"worker": self._request_log.run.name, "shadows_dropped": dropped}
        return render_json(values, 503 if problems else 200)

    async def metrics(self) -> Reply:
        """Return the replica's counters as Prometheus text."""
        self._request_log.flush_counters()
        text = await asyncio.to_thread(lambda: render_counters(sum_counters(self._replica)))
        table, now = self._read_table(), time.monotonic()
        weights: dict[Labels, float] = {}
        off: dict[Labels, float] = {}
        for entry in table.entries.values():
            labels: Labels = (("service", entry.service),)
            weights[labels] = entry.state.weight(now)
            off[labels] = float(bool(self._explain_candidate(entry, now)))
        text += render_gauges("sluice_weight", "The candidate's share of units.", weights)
        words = "1 while a candidate that the route names gets nothing."
        text += render_gauges("sluice_candidate_off", words, off)
        words = "1 while the log has no room for another segment."
        text += render_gauges("sluice_log_low", words, {(): float(self._request_log.is_low)})
        return Reply(200, text.encode(), content_type=CONTENT_TYPE)

    async def counters(self) -> Reply:
        """Return each worker run's counters, the breakers and the routes, for a controller."""
        self._request_log.flush_counters()
        runs = await asyncio.to_thread(lambda: render_json(export_runs(self._replica)).body)
        table, now = self._read_table(), time.monotonic()
        arms = []
        for entry in table.entries.values():
            if entry.state.route and entry.state.route.candidate:
                arms.append((entry.service, entry.state.route.candidate, AssignedArm.CANDIDATE))
            if entry.champion:
                arms.append((entry.service, entry.champion.version, AssignedArm.CHAMPION))
        return render_json(
            {
                "replica": self._replica.name,
                "worker_runs": msgspec.Raw(runs),
                "breakers": self._breakers.describe(arms),
                "services": {
                    name: self._describe(entry, now) for name, entry in table.entries.items()
                },
            }
        )

    async def smoke(self, entry: ServiceEntry) -> Reply:
        """Test a service's candidate once for all who ask at about the same time."""
        shared = self._smokes.get(entry.service)
        if shared is None:
            shared = SharedReply(partial(self._smoke, entry.service))
            self._smokes[entry.service] = shared
        return await shared.get()

    async def _smoke(self, service: str) -> Reply:
        entry = self._read_table().entries.get(service)
        return await smoke_candidate(entry or ServiceEntry(service, RouteState()))

    async def openapi(self) -> Reply:
        """Return the description of the gateway as it serves now, OpenAPI 3.1."""
        return render_json(describe_api(self._read_table(), self.config, bool(self.keyring)))

    def _list_problems(self, table: ModelTable) -> list[str]:
        problems = ["this worker is shutting down"] if self.is_draining else []
        if self._request_log.is_broken:
            problems.append("the log cannot be written")
        if not table.has_routes:
            problems.append("no routes were read yet")
        absent = [entry for entry in table.entries.values() if entry.champion is None]
        return problems + [f"{entry.service}: {entry.missing}" for entry in absent]

    def _describe(self, entry: ServiceEntry, now: float) -> dict[str, Any]:
        route, champion = entry.state.route, entry.champion
        return {
            "epoch": route.epoch if route else 0,
            "mode": str(route.mode) if route else "",
            "champion": champion.version if champion else None,
            "backend": champion.backend_name if champion else None,
            "backend_reason": champion.backend_reason if champion else entry.missing,
            "candidate": entry.state.candidate(now) if entry.pool else None,
            "weight": entry.state.weight(now),
            "candidate_reason": self._explain_candidate(entry, now),
        }

    def _explain_candidate(self, entry: ServiceEntry, now: float) -> str:
        """Return why the route's candidate gets nothing; empty where it gets its share."""
        route = entry.state.route
        if route is None or route.candidate is None:
            return ""
        if self._request_log.is_low:
            return "the log is low on space"
        if reason := entry.state.reason(now):
            return reason
        if entry.pool is None:
            return entry.missing
        closed = self._breakers.is_closed(route.service, route.candidate)
        return "" if closed else "the circuit breaker is open"


async def smoke_candidate(entry: ServiceEntry) -> Reply:
    """Test the route's candidate on its fixed records; 409 where no candidate is loaded."""
    if entry.pool is None:
        missing = f"{entry.service}: no candidate is loaded; {entry.missing}"
        return explain(409, missing.rstrip("; "))
    model = entry.pool.predictor.model
    fault = await _find_fault(model)
    result = {
        "version": model.version,
        "rows": model.checked_rows,
        "passed": not fault,
        "reason": fault,
    }
    return render_json({"service": entry.service, **result})


async def _find_fault(model: LoadedModel) -> str:
    """Return what is wrong, empty if nothing; in a thread of its own, since a model may hang."""
    if model.parity_check is None:
        return "the registry has no records to check it on"
    batcher: Batcher[LoadedModel, str] = Batcher(
        lambda models: [item.find_fault() for item in models], f"{model.service} smoke"
    )
    try:
        async with asyncio.timeout(SMOKE_SECONDS):
            (fault,) = await batcher.ask([model])
    except TimeoutError:
        return f"no answer within {SMOKE_SECONDS:g} s"
    except Exception as error:  # the test is there to find a bug of the model
        return f"{type(error).__name__}: it failed"
    finally:
        batcher.close()
    return fault
