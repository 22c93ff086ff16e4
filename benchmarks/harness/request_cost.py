"""The cost of each step of a request inside a worker, measured on a worker's own objects."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.results import Row
from sluice.control.route import Route
from sluice.home import Home

TURN = 32
"""Requests that a worker answers in one iteration of its event loop, as at 32 connections."""
TURNS = 80
Step = Callable[[int], Any]


def measure_steps(home: Home, route: Route, bodies: list[bytes], folder: Path) -> list[Row]:
    """Return the microseconds of each step, and of all of them without HTTP."""
    import uvloop

    found: list[Row] = uvloop.run(_measure(home, route, bodies, folder))
    return found


async def _measure(home: Home, route: Route, bodies: list[bytes], folder: Path) -> list[Row]:
    from serving.http.handler import RequestHandler, decode_body
    from serving.log.request_log import RequestLog
    from serving.process.worker import SWITCH_SECONDS
    from serving.routing.breaker import WorkerBreakers
    from sluice.config.serving import LimitsConfig, TrafficLogConfig

    log = RequestLog(folder / "replica", "w0", "1", TrafficLogConfig())
    breakers = WorkerBreakers(folder / "replica" / "breakers")
    handler = RequestHandler(log, breakers, LimitsConfig())
    entry = load_entry(home, route)
    sys.setswitchinterval(SWITCH_SECONDS)
    champion, state = entry.champion, entry.state
    signature = champion.model.signature
    decoded = [decode_body(signature, body) for body in bodies]
    contexts = [handler._assign(entry, champion, state.route, item) for item in decoded]
    plain = [item for item in contexts if item.assignment.pool is None]
    steps = list(list_steps(handler, entry, plain))
    answers = [build_record(item) for item in plain]
    pairs = zip(bodies, contexts, strict=True)
    own = [body for body, item in pairs if item.assignment.pool is None]
    found = {name: time_step(step, len(plain)) for name, step in steps}
    found["log and counters"] = await time_turns(lambda n: log.record(answers[n % len(answers)]))
    found["all of it, by the champion"] = await time_turns(
        lambda n: handler.answer(entry, own[n % len(own)])
    )
    found["all of it, 5 % by the candidate in its thread"] = await time_turns(
        lambda n: handler.answer(entry, bodies[n % len(bodies)])
    )
    log.close()
    breakers.close()
    return [Row(f"inside: {name}", figure, "us a request") for name, figure in found.items()]


def load_entry(home: Home, route: Route) -> Any:
    """Return a service entry of the fetched models, with a lease that does not lapse."""
    from dataclasses import replace

    from serving.models.cache import ModelCache
    from serving.models.loading import load_cached
    from serving.models.predictors import ModelPredictor
    from serving.routing.model_table import RouteState, build_entry

    cache, predictors = ModelCache(home.models, None), []
    for version, inline in ((route.champion, True), (route.candidate or 0, False)):
        entry = cache.find(route.service, version)
        if entry is None:
            raise RuntimeError(f"{route.service} v{version} is not in the cache")
        predictors.append(ModelPredictor(load_cached(cache, entry), inline))
    now = time.monotonic()
    renewed = replace(route, renewal=route.renewal + 1, ttl=3600.0)
    state = RouteState().update(replace(route, ttl=3600.0), now).update(renewed, now)
    return build_entry(state, *predictors, None, "")


def list_steps(handler: Any, entry: Any, contexts: list[Any]) -> Iterator[tuple[str, Step]]:
    """Yield the steps of a request that the champion answers, by name."""
    from serving.http.handler import build_reply
    from serving.http.requests import decode_request
    from serving.routing.assignment import assign_request
    from sluice.rollout.assignment import hash_unit

    model, now = entry.champion.model, time.monotonic()
    backend, signature = model.backend, model.signature
    numbers = [backend._encoder.encode(map(backend._take, item.records)) for item in contexts]
    raw = [backend._run(item) for item in numbers]
    predictions = [backend._postprocessing.apply(item) for item in raw]
    bodies = [rebuild_body(item) for item in contexts]
    outcomes = [outcome_of(item) for item in contexts]
    answers = [build_record(*pair) for pair in zip(contexts, outcomes, strict=True)]
    yield (
        "reading JSON, checking types",
        lambda n: signature.decode(decode_request(bodies[n]).inputs),
    )
    yield (
        "assigning the arm",
        lambda n: assign_request(
            entry, contexts[n].route, hash_unit(contexts[n].unit), handler._breakers, now
        ),
    )
    yield (
        "columns to numbers",
        lambda n: backend._encoder.encode(map(backend._take, contexts[n].records)),
    )
    yield "the graph in onnxruntime", lambda n: backend._run(numbers[n])
    yield "scores to probabilities and labels", lambda n: backend._postprocessing.apply(raw[n])
    yield "checking the answer", lambda n: model.shape.read(predictions[n], 1)
    yield "building the record", lambda n: build_record(contexts[n], outcomes[n])
    yield "writing the reply", lambda n: build_reply(contexts[n], outcomes[n], answers[n])


def outcome_of(context: Any) -> Any:
    """Return the champion's own answer to a request."""
    from serving.http.handler import CallOutcome
    from serving.routing.calls import Call

    return CallOutcome(None, Call(context.champion.model.answer(context.records), 1.0))


def build_record(context: Any, outcome: Any = None) -> Any:
    """Return the record of a request that is logged."""
    from serving.http.handler import build_answer

    return build_answer(context, outcome or outcome_of(context))


def rebuild_body(context: Any) -> bytes:
    """Return the body that the request came with."""
    inputs, request_id = bytes(context.inputs), context.request_id.encode()
    unit = (context.given_unit or "").encode()
    return b'{"inputs":%s,"request_id":"%s","unit":"%s"}' % (inputs, request_id, unit)


def time_step(step: Step, size: int) -> float:
    """Return the median processor time of a step in microseconds per request."""
    times = []
    for turn in range(TURNS):
        started = time.process_time()
        for place in range(TURN):
            step((turn * TURN + place) % size)
        times.append((time.process_time() - started) / TURN * 1e6)
    return median(times)


async def time_turns(step: Step) -> float:
    """Return the same for a coroutine, with all requests of a turn at once."""
    times = []
    for turn in range(TURNS):
        started = time.process_time()
        await asyncio.gather(*(step(turn * TURN + place) for place in range(TURN)))
        times.append((time.process_time() - started) / TURN * 1e6)
    return median(times)
