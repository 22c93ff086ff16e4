"""A worker's application in the test's own event loop, with one model that is loaded."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.http.app import Gateway
from serving.http.feedback import ANSWERS_FILE, FeedbackLog, RecentAnswers
from serving.http.handler import RequestHandler
from serving.http.keys import Keyring
from serving.http.language import LateEndpoints
from serving.http.pages import StatusPages
from serving.llm.prompts import LoadedPrompts
from serving.llm.providers import ModelProviders
from serving.log.request_log import RequestLog
from serving.models.cache import CacheEntry, ModelCache
from serving.models.loading import load_cached
from serving.models.predictors import ModelPredictor
from serving.routing.breaker import WorkerBreakers
from serving.routing.model_table import ModelTable, RouteState, build_entry
from serving.routing.shadow import ShadowCalls
from sluice.adapters.control.store import open_control
from sluice.config.serving import GatewayConfig
from sluice.control.route import Route
from sluice.home import Home

OWN_HOST = ("host", "127.0.0.1:8080")


@dataclass(frozen=True)
class Application:
    """The application, and the pages behind it."""

    app: Gateway
    pages: StatusPages

    async def ask(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request to the application; return status and body of the reply."""
        given = dict([OWN_HOST]) | ({"content-type": "application/json"} if body else {})
        pairs = [
            (name.encode(), value.encode()) for name, value in {**given, **(headers or {})}.items()
        ]
        method = "GET" if body is None else "POST"
        scope = {"type": "http", "method": method, "path": path, "headers": pairs}
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app({**scope, "server": ("127.0.0.1", 8080)}, receive, send)
        return int(sent[0]["status"]), bytes(sent[1]["body"])


def no_prompts() -> LoadedPrompts:
    """The prompts of a worker whose routes name models only."""

    async def prepare() -> None:
        raise AssertionError("no route names a prompt")

    return LoadedPrompts(lambda name: Path("/nowhere") / name, prepare)


@asynccontextmanager
async def run_application(
    folder: Path, cache: ModelCache, kept: CacheEntry, pages: type[StatusPages] = StatusPages
) -> AsyncIterator[Application]:
    """Build what a worker builds, on a replica's folder, with the kept model as champion."""
    config, replica = GatewayConfig(), folder / "replica"
    answers = RecentAnswers(_make(replica) / ANSWERS_FILE, 1000)
    log = RequestLog(replica, "w0", "1", config.traffic_log, [answers.remember])
    breakers = WorkerBreakers(replica / "breakers")
    predictor = ModelPredictor(load_cached(cache, kept), inline=True)
    state = RouteState().update(Route(kept.service, kept.version), time.monotonic())
    entry = build_entry(state, predictor, None, None, "")
    table = ModelTable({kept.service: entry}, True, time.monotonic())
    shadows = ShadowCalls(log, breakers)
    found = pages(replica, config, Keyring(), (log, breakers, shadows), lambda: table)
    handler = RequestHandler(log, breakers, config.limits)
    control = open_control(Home(folder))
    providers = ModelProviders(Home(folder), "development", control.spending)
    parts = (log, breakers, shadows)
    language = LateEndpoints(parts, providers, config.limits, lambda: table)
    feedback = FeedbackLog(log, answers)
    app = Gateway(handler, shadows, feedback, found, lambda: table, language)
    try:
        yield Application(app, found)
    finally:
        await asyncio.sleep(0)
        await shadows.close()
        await language.close()
        breakers.close()
        log.close()
        answers.close()


def _make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
