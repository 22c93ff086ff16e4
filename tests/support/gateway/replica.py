"""A replica over real HTTP that follows the real route, with random counts instead of requests."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from serving.log.counters import ArmCounts, Counters, Key
from serving.log.records import AssignedArm
from serving.routing.model_table import RouteState
from sluice.adapters.control.store import Control
from sluice.control.route import Mode
from sluice.errors import SluiceError
from sluice.rollout.latency import bucket_of

LONGEST = 1.0
"""Most seconds of traffic that one scrape adds."""
_TIMES = np.random.default_rng(0).lognormal(3.0, 0.4, 5000)
BUCKETS, _COUNTS = np.unique([bucket_of(float(ms)) for ms in _TIMES], return_counts=True)
SHARES = _COUNTS / _COUNTS.sum()
"""Every arm's latencies, around 20 ms: what share falls into each bucket."""


@dataclass(frozen=True)
class Behaviour:
    """How the versions behave: requests a second, and each arm's share of failures."""

    rate: float = 4000.0
    errors: dict[int, float] = field(default_factory=dict)
    """By version; others fail at 1 %."""
    tripped: bool = False
    alarm: float = -5.0
    status: int = 200
    """What `/v1/counters` answers with."""
    broken: str = ""
    """`nan`, or `back`: counters that cannot be right."""
    loads: bool = True
    """Whether the candidate can be loaded."""
    only: str = ""
    """The one arm that has traffic; empty where both have."""


class TrafficReplica:
    """One replica of a gateway; its traffic can be changed while it runs."""

    def __init__(self, control: Control, service: str, seed: int = 1) -> None:
        self.behaviour = Behaviour()
        self.weights: list[float] = []
        """The candidate's shares of traffic, in their order."""
        self.drawn = 0
        """Requests so far, of both arms."""
        self._control, self._service = control, service
        self._identity = ""
        self._rng = np.random.default_rng(seed)
        self._counters, self._state = Counters(), RouteState()
        self._last, self._started = time.monotonic(), 1
        self._guard = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "TrafficReplica":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def behave(self, **changes: Any) -> None:
        with self._guard:
            self.behaviour = replace(self.behaviour, **changes)

    def restart(self) -> None:
        """Begin a new worker run, counted from 0."""
        with self._guard:
            self._counters, self._started = Counters(), self._started + 1

    def export(self) -> dict[str, Any]:
        with self._guard:
            now = time.monotonic()
            with suppress(SluiceError):  # the store is away
                self._identity = self._identity or self._control.find_identity()
                self._state = self._state.update(self._control.routes.find(self._service), now)
            self._draw(now)
            route = self._state.route
            counters = self._counters.export()
            for entry in counters:
                entry["requests"] = self._spoil(entry["requests"])
            run = {"run": "w0", "started": str(self._started), "counters": counters}
            candidate = self._state.candidate(now) if self.behaviour.loads else None
            known = {"epoch": route.epoch, "candidate": candidate} if route else None
            return {
                "replica": "r0",
                "identity": self._identity,
                "worker_runs": [run],
                "services": {self._service: known} if known else {},
                "breakers": self._list_breakers(),
            }

    def smoke(self) -> dict[str, Any]:
        route = self._state.route
        version = route.candidate if route else 0
        result = {"version": version, "passed": True, "rows": 1, "reason": ""}
        return {"identity": self._identity, **result}

    def _spoil(self, requests: float) -> float:
        broken = self.behaviour.broken
        return float("nan") if broken == "nan" else requests // 2 if broken == "back" else requests

    def _list_breakers(self) -> list[dict[str, Any]]:
        route, behaviour = self._state.route, self.behaviour
        if route is None:
            return []
        found = [(route.champion, "champion", False, behaviour.alarm)]
        if route.candidate:
            found.append((route.candidate, "candidate", behaviour.tripped, 0.0))
        names = ("version", "arm", "open", "log_evidence")
        return [{"service": self._service, **dict(zip(names, item, strict=True))} for item in found]

    def _draw(self, now: float) -> None:
        seconds, self._last = min(now - self._last, LONGEST), now
        route = self._state.route
        if route is None:
            return
        n = int(self._rng.poisson(self.behaviour.rate * seconds))
        candidate, weight = self._state.candidate(now), self._state.weight(now)
        if not self.weights or self.weights[-1] != weight:
            self.weights.append(weight)
        if route.weight > 0 and candidate is None:  # the lease lapsed
            self._add(route.champion, AssignedArm.NONE, route.epoch, n)
            return
        part = int(self._rng.binomial(n, weight))
        self._add(route.champion, AssignedArm.CHAMPION, route.epoch, n - part)
        if candidate is not None and route.mode is Mode.SHADOW:
            self._add(candidate, AssignedArm.CANDIDATE, route.epoch, n, compared=n)
        elif candidate is not None:
            self._add(candidate, AssignedArm.CANDIDATE, route.epoch, part)

    def _add(self, version: int, arm: AssignedArm, epoch: int, n: int, compared: int = 0) -> None:
        if self.behaviour.only not in ("", arm.value):
            return
        self.drawn += n
        failures = int(self._rng.binomial(n, self.behaviour.errors.get(version, 0.01)))
        drawn = self._rng.multinomial(n - failures, SHARES)
        latencies = {int(bucket): int(k) for bucket, k in zip(BUCKETS, drawn, strict=True) if k}
        counts = ArmCounts(requests=n, failures=failures, latencies=latencies, compared=compared)
        self._counters.merge(Counters({Key(self._service, version, arm, epoch): counts}))

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        replica = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith(":smoke"):
                    loads = replica.behaviour.loads
                    self._answer(200 if loads else 409, replica.smoke())
                else:
                    self._answer(replica.behaviour.status, replica.export())

            def _answer(self, status: int, values: dict[str, Any]) -> None:
                body = json.dumps(values).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        return Handler
