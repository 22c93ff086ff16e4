"""A/A experiments through a real gateway: routes, assignment, log-writer, log, analysis."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.simulation import configure
from sluice.adapters.traffic.experiments import TrafficPlace, read_requests
from sluice.control.route import Mode
from sluice.experiments.analysis import analyse_units
from sluice.experiments.comparison import Look
from sluice.experiments.requests import build_units
from sluice.stats.experiments.proportions import compare_rates

TESTS = Path(__file__).resolve().parents[2] / "tests"
SERVICE, USERS, CALLERS = "towns", 200, 8
PATIENCE = 300.0
CONFIG = configure(
    service=SERVICE,
    primary={"name": "m", "source": "positive", "shape": "ratio", "better": "higher"},
    window="60 s",
)


@dataclass(frozen=True)
class LiveFinding:
    """What one experiment found: whether units, whether requests differ, and requests lost."""

    by_unit: bool
    by_request: bool
    lost: int


def run_live(experiments: int) -> Iterator[LiveFinding]:
    """Yield what each of so many A/A experiments finds, one after another on one gateway."""
    sys.path.insert(0, str(TESTS))
    from support.gateway.models import write_towns
    from support.gateway.site import Site, run_gateway

    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder) / "site")
        towns = Path(folder) / "towns"
        towns.mkdir()
        site.serve(SERVICE, write_towns(towns).folder)
        place = TrafficPlace(SERVICE, site.home.answers(SERVICE), site.home.feedback)
        with run_gateway(site, "--no-fetcher") as gateway:
            gateway.await_champion(SERVICE)
            for number in range(experiments):
                facts: dict[str, Any] = {"salt": f"salt-{number}", "weight": 0.5, "ttl": 30.0}
                route = site.route(
                    SERVICE, candidate=2, mode=Mode.CANARY, experiment=f"aa-{number}", **facts
                )
                start = time.time()
                with site.renewing(SERVICE):
                    # The state of the experiment before has the same candidate.
                    gateway.await_all(SERVICE, partial(_is_split, route.epoch))
                    sent = asyncio.run(_send(gateway.port, number))
                found = _await_log(place, start, route.epoch, sent)
                # The window is cut short: nobody comes back after the last request.
                units = build_units(found, CONFIG, start + 3600)
                look = Look(start + 3600, start, USERS, 0.1)
                primary = analyse_units(units, CONFIG, look).primary
                yield LiveFinding(
                    primary is not None and primary.finding in ("better", "worse"),
                    _compare_requests(found),
                    sent - len(found.at),
                )
                site.route(
                    SERVICE,
                    candidate=None,
                    mode=Mode.CHAMPION,
                    experiment="",
                    **{**facts, "salt": "", "weight": 0.0},
                )


def _is_split(epoch: int, state: dict[str, Any]) -> bool:
    """Whether a worker has this route, and sends the candidate its share."""
    given = state.get("epoch") == epoch and state.get("candidate")
    return bool(given and not state["candidate_reason"])


def _compare_requests(found: Any) -> bool:
    praised = np.nan_to_num(found.figures["positive"])
    counts = []
    for arm in (0, 1):
        inside = found.arm == arm
        counts += [int(praised[inside].sum()), int(inside.sum())]
    return compare_rates(*counts).significant


def _await_log(place: TrafficPlace, start: float, epoch: int, sent: int) -> Any:
    """Return the requests once the log-writer has them and their feedback."""
    limit = time.monotonic() + PATIENCE
    while True:
        now = datetime.now(UTC).timestamp()
        found = read_requests(place, CONFIG, (start, now), epoch)
        whole = len(found.at) >= sent and bool(np.isfinite(found.feedback_at).all())
        if whole or (len(found.at) and time.monotonic() > limit):
            return found
        if time.monotonic() > limit:
            words = f"after {PATIENCE:.0f} s the traffic log has none of {sent} requests"
            raise RuntimeError(words)
        time.sleep(0.2)


async def _send(port: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    counts = np.minimum(np.ceil(rng.pareto(1.5, USERS) + 1), 40).astype(int)
    rates = rng.beta(0.3, 0.7, USERS)
    work = [
        (f"{seed}-{user}", bool(rng.random() < rates[user]))
        for user in range(USERS)
        for _ in range(counts[user])
    ]
    parts = [work[place::CALLERS] for place in range(CALLERS)]
    await asyncio.gather(*(_call(port, part) for part in parts))
    return len(work)


async def _call(port: int, work: list[tuple[str, bool]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    record = {"size": 1.0, "town": "ayr", "here": True}
    for unit, praise in work:
        body = {"inputs": record, "unit": unit}
        reply = await _post(reader, writer, f"/v1/models/{SERVICE}:predict", body)
        rating = 1.0 if praise else -1.0
        said = {"request_id": reply["request_id"], "rating": rating, "service": SERVICE}
        await _post(reader, writer, "/v1/feedback", said)
    writer.close()


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    found: dict[str, Any] = json.loads(await reader.readexactly(int(headers["content-length"])))
    return found
