"""Where a request's time goes inside a worker: each step by itself, on a worker's own objects."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.results import Row
from sluice.control.route import Route
from sluice.home import Home

TURN = 32
"""Requests that a worker answers in one turn of its event loop, as at 32 connections."""
TURNS = 80
Step = Callable[[int], Any]


def measure_steps(home: Home, route: Route, bodies: list[bytes], folder: Path) -> list[Row]:
    """Give the microseconds of each step, and of the whole way without HTTP."""
    import uvloop

    found: list[Row] = uvloop.run(_measure(home, route, bodies, folder))
    return found


async def _measure(home: Home, route: Route, bodies: list[bytes], folder: Path) -> list[Row]:
    from serving.http.answering import RequestHandler
    from serving.log.ledger import RequestLog
    from serving.process.worker import SWITCH_SECONDS
    from serving.routing.breaker import WorkerBreakers
    from sluice.config.serving import LimitsConfig, TrafficLogConfig

    ledger = RequestLog(folder / "replica", "w0", "1", TrafficLogConfig())
    circuits = WorkerBreakers(folder / "replica" / "breakers")
    answering = RequestHandler(ledger, circuits, LimitsConfig())
    seat = build_seat(home, route)
    sys.setswitchinterval(SWITCH_SECONDS)
    asked = [answering._read(seat, body) for body in bodies]
    plain = [item for item in asked if item.assignment.lane is None]
    steps = list(list_steps(answering, seat, plain))
    answers = [build_record(item) for item in plain]
    own = [body for body, item in zip(bodies, asked, strict=True) if item.assignment.lane is None]
    found = {name: time_step(step, len(plain)) for name, step in steps}
    found["log and counters"] = await time_turns(lambda n: ledger.record(answers[n % len(answers)]))
    found["all of it, by the champion"] = await time_turns(
        lambda n: answering.answer(seat, own[n % len(own)])
    )
    found["all of it, 5 % by the candidate in its thread"] = await time_turns(
        lambda n: answering.answer(seat, bodies[n % len(bodies)])
    )
    ledger.close()
    circuits.close()
    return [Row(f"inside: {name}", figure, "us a request") for name, figure in found.items()]


def build_seat(home: Home, route: Route) -> Any:
    """Seat the models that a gateway of this home has fetched, under a lease that runs."""
    from dataclasses import replace

    from serving.models.cache import ModelCache
    from serving.models.loading import load_cached
    from serving.models.predictors import ModelPredictor
    from serving.routing.model_table import RouteState, build_entry

    cache, predictors = ModelCache(home.models), []
    for version, inline in ((route.champion, True), (route.candidate or 0, False)):
        entry = cache.find(route.service, version)
        if entry is None:
            raise RuntimeError(f"{route.service} v{version} is not in the cache")
        predictors.append(ModelPredictor(load_cached(cache, entry), inline))
    now = time.monotonic()
    renewed = replace(route, renewal=route.renewal + 1, ttl=3600.0)
    belief = RouteState().see(replace(route, ttl=3600.0), now).see(renewed, now)
    return build_entry(belief, *predictors, None, "")


def list_steps(answering: Any, seat: Any, asked: list[Any]) -> Iterator[tuple[str, Step]]:
    """Give the steps of a request that the champion answers, by name."""
    from serving.http.answering import build_reply
    from serving.http.requests import decode_request
    from serving.routing.assignment import assign_request, hash_unit

    model, now = seat.champion.model, time.monotonic()
    form, signature = model.form, model.signature
    numbers = [form._encoder.encode(map(form._take, item.records)) for item in asked]
    raw = [form._run(item) for item in numbers]
    said = [form._answering.answer(item) for item in raw]
    bodies = [rebuild_body(item) for item in asked]
    outcomes = [outcome_of(item) for item in asked]
    answers = [build_record(*pair) for pair in zip(asked, outcomes, strict=True)]
    yield (
        "reading JSON, checking types",
        lambda n: signature.decode(decode_request(bodies[n]).inputs),
    )
    yield (
        "assigning the arm",
        lambda n: assign_request(
            seat, asked[n].route, hash_unit(asked[n].unit), answering._circuits, now
        ),
    )
    yield (
        "columns to numbers",
        lambda n: form._encoder.encode(map(form._take, asked[n].records)),
    )
    yield "the graph in onnxruntime", lambda n: form._run(numbers[n])
    yield "scores to probabilities and labels", lambda n: form._answering.answer(raw[n])
    yield "proving that it is an answer", lambda n: model.shape.read(said[n], 1)
    yield "building the record", lambda n: build_record(asked[n], outcomes[n])
    yield "writing the reply", lambda n: build_reply(asked[n], outcomes[n], answers[n])


def outcome_of(asked: Any) -> Any:
    """Give the champion's own answer to a request."""
    from serving.http.answering import CallOutcome
    from serving.routing.calls import Call

    return CallOutcome(None, Call(asked.champion.model.answer(asked.records), 1.0))


def build_record(asked: Any, outcome: Any = None) -> Any:
    """Give what the log gets of a request."""
    from serving.http.answering import build_answer

    return build_answer(asked, outcome or outcome_of(asked))


def rebuild_body(asked: Any) -> bytes:
    """Give the body that the request came with."""
    inputs = bytes(asked.request.inputs)
    request_id, unit = asked.request_id.encode(), (asked.request.unit or "").encode()
    return b'{"inputs":%s,"request_id":"%s","unit":"%s"}' % (inputs, request_id, unit)


def time_step(step: Step, size: int) -> float:
    """Give the median over turns of a step's microseconds of processor a request."""
    taken = []
    for turn in range(TURNS):
        started = time.process_time()
        for place in range(TURN):
            step((turn * TURN + place) % size)
        taken.append((time.process_time() - started) / TURN * 1e6)
    return median(taken)


async def time_turns(step: Step) -> float:
    """Give the same for what is awaited, all requests of a turn together."""
    taken = []
    for turn in range(TURNS):
        started = time.process_time()
        await asyncio.gather(*(step(turn * TURN + place) for place in range(TURN)))
        taken.append((time.process_time() - started) / TURN * 1e6)
    return median(taken)
