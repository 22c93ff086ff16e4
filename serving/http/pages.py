"""What a gateway reports about itself: health, readiness, metrics, counters, smoke test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from serving.http.description import describe_api
from serving.http.keys import Keyring
from serving.http.metrics import (
    CONTENT_TYPE,
    Labels,
    render_counters,
    render_gauges,
    render_signals,
)
from serving.http.replies import SHARED_SECONDS, Reply, SharedReply, explain, render_json
from serving.llm.prompts import LoadedPrompt
from serving.log.lag import measure_lag
from serving.log.records import AssignedArm
from serving.log.request_log import RequestLog
from serving.log.worker_runs import export_runs, sum_counters
from serving.models.batching import Batcher
from serving.models.predictors import LoadedModel
from serving.routing.breaker import WorkerBreakers
from serving.routing.model_table import (
    AnyEntry,
    ModelEntry,
    ModelTable,
    PromptEntry,
    RouteState,
    ServiceEntry,
)
from serving.routing.shadow import ShadowCalls
from sluice.config.serving import GatewayConfig
from sluice.errors import SluiceError
from sluice.monitoring.signals import Signal

STALE_SECONDS = 5.0
"""Age of the routes from which on the control store counts as stale; it is read each second."""
GOOD, FULL = "good", "full: nothing is answered until there is space on the disk"
LAG_WORDS = "Age of the oldest spooled record that the traffic log lacks."
SIGNALS_SECONDS = 15.0
"""How long the signals of the control store are shown before they are read again."""
SMOKE_SECONDS = 2.0
"""Time limit of a smoke test, in which a healthy model answers its records many times."""
PROMPT_SMOKE_SECONDS = 10.0
"""How long the result of a prompt's smoke test is given again: a language model takes longer to
answer than a controller waits, which asks again."""


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
        self._smokes: dict[str, tuple[int, SharedReply]] = {}
        self.is_draining = False
        self.identity = ""
        """Identity of the control store that this gateway obeys; empty before it was read."""
        self.list_signals: Callable[[], list[Signal]] = list
        """Returns the newest signals of the control store; none until the worker sets it."""
        self.find_prompt_fault: Callable[[LoadedPrompt], Awaitable[str]] = _find_no_fault
        """Returns why a prompt's candidate failed its smoke test; set by the worker."""
        self._signals: list[Signal] = []
        self._signals_at = -SIGNALS_SECONDS

    async def healthz(self) -> Reply:
        """Report liveness: the worker's event loop runs."""
        return render_json({"healthy": True})

    async def readyz(self) -> Reply:
        """Report readiness: 200, or 503 where no service can be answered; all problems are named.

        The fault of one service leaves the replica ready for the others.
        """
        table, now = self._read_table(), time.monotonic()
        faults, store = self._list_faults(table), _describe_store(table, now)
        services = {entry.service: self._describe(entry, now) for entry in table.list_entries()}
        problems = [*faults, *([] if store == GOOD else [f"the control store: {store}"])]
        problems += [words for entry in table.list_entries() for words in _list_problems(entry)]
        values = {"ready": not faults, "problems": problems, "log": self._describe_log()}
        values |= {"store": store, "services": services, "identity": self.identity}
        dropped = self._shadow_calls.dropped
        values |= {"worker": self._request_log.run.name, "shadows_dropped": dropped}
        return render_json(values, 503 if faults else 200)

    async def metrics(self) -> Reply:
        """Return the replica's counters as Prometheus text."""
        self._request_log.flush_counters()
        text = await asyncio.to_thread(lambda: render_counters(sum_counters(self._replica)))
        table, now = self._read_table(), time.monotonic()
        weights: dict[Labels, float] = {}
        off: dict[Labels, float] = {}
        for entry in table.list_entries():
            labels: Labels = (("service", entry.service),)
            weights[labels] = entry.state.weight(now)
            off[labels] = float(bool(self._explain_candidate(entry, now)))
        text += render_gauges("sluice_weight", "The candidate's share of units.", weights)
        words = "1 while a candidate that the route names gets nothing."
        text += render_gauges("sluice_candidate_off", words, off)
        words = "1 while the log has no room for another segment."
        text += render_gauges("sluice_log_low", words, {(): float(self._request_log.is_low)})
        lag = await asyncio.to_thread(measure_lag, self._replica, time.time())
        text += render_gauges("sluice_log_lag_seconds", LAG_WORDS, {(): lag})
        text += render_signals(await asyncio.to_thread(self._read_signals))
        return Reply(200, text.encode(), content_type=CONTENT_TYPE)

    async def counters(self) -> Reply:
        """Return each worker run's counters, the breakers and the routes, for a controller."""
        self._request_log.flush_counters()
        runs = await asyncio.to_thread(lambda: render_json(export_runs(self._replica)).body)
        lag = await asyncio.to_thread(measure_lag, self._replica, time.time())
        table, now = self._read_table(), time.monotonic()
        arms = []
        for entry in table.list_entries():
            if entry.state.route and entry.state.route.candidate:
                arms.append((entry.service, entry.state.route.candidate, AssignedArm.CANDIDATE))
            if entry.champion:
                arms.append((entry.service, entry.champion.version, AssignedArm.CHAMPION))
        return render_json(
            {
                "replica": self._replica.name,
                "identity": self.identity,
                "log_lag_seconds": lag,
                "worker_runs": msgspec.Raw(runs),
                "breakers": self._breakers.describe(arms),
                "services": {
                    entry.service: self._describe(entry, now) for entry in table.list_entries()
                },
            }
        )

    async def smoke(self, entry: AnyEntry) -> Reply:
        """Test a service's candidate once for all who ask at about the same time, of each epoch."""
        epoch = entry.state.route.epoch if entry.state.route else 0
        known, shared = self._smokes.get(entry.service, (-1, None))
        if shared is None or known != epoch:
            is_prompt = entry.service in self._read_table().prompts
            seconds = PROMPT_SMOKE_SECONDS if is_prompt else SHARED_SECONDS
            shared = SharedReply(partial(self._smoke, entry.service), seconds)
            self._smokes[entry.service] = epoch, shared
        return await shared.get()

    async def _smoke(self, service: str) -> Reply:
        table = self._read_table()
        if prompt := table.prompts.get(service):
            return await self._smoke_prompt(prompt)
        entry = table.entries.get(service)
        return await smoke_candidate(entry or ServiceEntry(service, RouteState()), self.identity)

    async def _smoke_prompt(self, entry: PromptEntry) -> Reply:
        """Ask the candidate's model the fixed question of its version."""
        if entry.pool is None:
            return _refuse_smoke(entry)
        prompt = entry.pool.prompt
        fault = await self.find_prompt_fault(prompt)
        result = {"version": prompt.version, "rows": 1, "passed": not fault, "reason": fault}
        return render_json({"service": entry.service, "identity": self.identity, **result})

    async def openapi(self) -> Reply:
        """Return the description of the gateway as it serves now, OpenAPI 3.1."""
        return render_json(describe_api(self._read_table(), self.config, bool(self.keyring)))

    def _read_signals(self) -> list[Signal]:
        """Return the newest signals, read at most each `SIGNALS_SECONDS`.

        While the store is away, the last ones stay: their times say how old they are.
        """
        now = time.monotonic()
        if now - self._signals_at >= SIGNALS_SECONDS:
            self._signals_at = now
            with suppress(SluiceError):
                self._signals = self.list_signals()
        return self._signals

    def _list_faults(self, table: ModelTable) -> list[str]:
        """Return why this worker can answer no service; empty where it can answer one."""
        faults = ["this worker is shutting down"] if self.is_draining else []
        if self._request_log.is_broken:
            faults.append("the log cannot be written")
        elif self._request_log.is_full:
            faults.append(f"the log is {FULL}")
        if not table.has_routes:
            faults.append("no routes were read yet")
        entries = list(table.list_entries())
        if entries and not any(entry.champion for entry in entries):
            faults.append("no service has a version that is loaded")
        return faults

    def _describe_log(self) -> str:
        if self._request_log.is_broken:
            return "broken: this worker stops"
        if self._request_log.is_full:
            return FULL
        return "low: the candidates get nothing" if self._request_log.is_low else GOOD

    def _describe(self, entry: AnyEntry, now: float) -> dict[str, Any]:
        route, champion = entry.state.route, entry.champion
        return {
            "epoch": route.epoch if route else 0,
            "mode": str(route.mode) if route else "",
            "wanted": entry.wanted,
            "wanted_reason": entry.wanted_reason,
            "champion": champion.version if champion else None,
            "backend": champion.backend_name if champion else None,
            "backend_reason": champion.backend_reason if champion else entry.missing,
            "candidate": entry.state.candidate(now) if entry.pool else None,
            "weight": entry.state.weight(now),
            "candidate_reason": self._explain_candidate(entry, now),
            "conflict": entry.state.conflict,
        }

    def _explain_candidate(self, entry: AnyEntry, now: float) -> str:
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


def _describe_store(table: ModelTable, now: float) -> str:
    """Return how fresh the routes are."""
    age = now - table.read_at
    if not table.store_problem and age < STALE_SECONDS:
        return GOOD
    since = f"not read for {age:.0f} s" if isfinite(age) else "never read since this worker began"
    return f"{since}: {table.store_problem}" if table.store_problem else since


def _list_problems(entry: AnyEntry) -> list[str]:
    """Return what is wrong with one service."""
    problems, serves = [], entry.champion.version if entry.champion else None
    if entry.wanted_reason:
        instead = f"; v{serves} serves" if serves is not None else "; nothing serves"
        problems.append(
            f"{entry.service}: v{entry.wanted} is wanted: {entry.wanted_reason}{instead}"
        )
    elif entry.missing:
        problems.append(f"{entry.service}: the candidate: {entry.missing}")
    if entry.state.conflict:
        problems.append(f"{entry.service}: {entry.state.conflict}")
    return problems


async def _find_no_fault(_: LoadedPrompt) -> str:
    return ""


def _refuse_smoke(entry: AnyEntry) -> Reply:
    missing = f"{entry.service}: no candidate is loaded; {entry.missing}"
    return explain(409, missing.rstrip("; "))


async def smoke_candidate(entry: ModelEntry, identity: str = "") -> Reply:
    """Test the route's candidate on its fixed records; 409 where no candidate is loaded."""
    if entry.pool is None:
        return _refuse_smoke(entry)
    model = entry.pool.predictor.model
    fault = await _find_fault(model)
    result = {
        "version": model.version,
        "rows": model.checked_rows,
        "passed": not fault,
        "reason": fault,
    }
    return render_json({"service": entry.service, "identity": identity, **result})


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
