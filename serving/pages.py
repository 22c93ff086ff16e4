"""What a gateway tells about itself: health, readiness, metrics, counters, description."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.circuits import Circuits
from serving.description import describe_api
from serving.exposition import CONTENT_TYPE, Labels, render_counters, render_gauges
from serving.keys import Keyring
from serving.ledger import Ledger
from serving.lineup import Lineup, Seat
from serving.record import AssignedArm
from serving.replica import export_lives, sum_counters
from serving.reply import Reply, render_json
from serving.shadowing import Shadowing
from sluice.config.serving import GatewayConfig


class Pages:
    """One worker's pages; counters are those of its whole replica."""

    def __init__(
        self,
        replica: Path,
        config: GatewayConfig,
        keyring: Keyring,
        parts: tuple[Ledger, Circuits, Shadowing],
        read_lineup: Callable[[], Lineup],
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
        lives = await asyncio.to_thread(export_lives, self._replica)
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

    def _find_amiss(self, lineup: Lineup) -> list[str]:
        amiss = ["this worker is ending"] if self.is_draining else []
        if self._ledger.is_broken:
            amiss.append("the log cannot be written")
        if not lineup.has_looked:
            amiss.append("no routes were read yet")
        absent = [seat for seat in lineup.seats.values() if seat.champion is None]
        return amiss + [f"{seat.service}: {seat.missing}" for seat in absent]

    def _tell_seat(self, seat: Seat, now: float) -> dict[str, Any]:
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

    def _say_reason(self, seat: Seat, now: float) -> str:
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
