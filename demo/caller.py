"""Callers of the gateway: which requests they send at which time, and their feedback."""

import asyncio
import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.held_out import HeldOut
from demo.tally import ReplayTally

if TYPE_CHECKING:
    import aiohttp

SLOPE = 1.1
"""The user of rank r sends requests in proportion to r^-SLOPE (Zipf), as readers and buyers do."""
DRAW_SIZE = 4096
"""Users that are drawn at a time."""
OK = (200, 202, 204)


@dataclass(frozen=True)
class CallerRequest:
    """One request to send: its unit, and the held-out row that it sends."""

    unit: str
    row: int


class RequestStream:
    """A seeded stream of requests; the same seed gives the same stream.

    Without users each request has a new unit; the rows repeat in a shuffled order. With users each
    user has one row, so that a user who meets a fault meets it at each request.
    """

    def __init__(self, rows: int, users: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._rows, self._users, self._seed = rows, users, seed
        self._order = self._rng.permutation(rows)
        shares = np.arange(1, users + 1, dtype=np.float64) ** -SLOPE
        self._edges = np.cumsum(shares) / shares.sum() if users else shares
        self._drawn: list[int] = []
        self._count = 0

    def take(self) -> CallerRequest:
        """Return the next request."""
        if self._users:
            user = self._draw_user()
            return CallerRequest(f"user-{self._seed}-{user}", int(self._order[user % self._rows]))
        place, self._count = self._count, self._count + 1
        return CallerRequest(f"guest-{self._seed}-{place}", int(self._order[place % self._rows]))

    def _draw_user(self) -> int:
        if not self._drawn:
            places = np.searchsorted(self._edges, self._rng.random(DRAW_SIZE), side="right")
            self._drawn = np.minimum(places, self._users - 1).tolist()[::-1]
        return self._drawn.pop()


def plan_times(rps: float, seconds: float, poisson: bool, seed: int) -> Iterator[float]:
    """Return the send times of an open loop: even gaps, or a Poisson process."""
    draw = random.Random(seed)  # noqa: S311 - no secret depends on it
    place, at = 0, 0.0
    while True:
        if poisson:
            at += draw.expovariate(rps)
        else:
            at, place = place / rps, place + 1
        if at >= seconds:
            return
        yield at


@dataclass(frozen=True)
class CallerAnswer:
    """A prediction that a caller received, on which feedback can follow."""

    request_id: str
    request: CallerRequest
    prediction: Any


@dataclass(frozen=True)
class FeedbackPlan:
    """The share of answers that get feedback, and its delay in seconds."""

    share: float = 1.0
    delay: float = 2.0


class Caller:
    """Sends requests to one service and counts the answers."""

    def __init__(
        self,
        session: "aiohttp.ClientSession",
        url: str,
        service: str,
        held: HeldOut,
        tally: ReplayTally,
    ) -> None:
        self._session, self._held, self._tally = session, held, tally
        self._predict = f"{url}/v1/models/{service}:predict"
        self._feedback = f"{url}/v1/feedback"
        self._run, self._count = secrets.token_hex(4), 0

    async def send(self, request: CallerRequest, planned: float) -> CallerAnswer | None:
        """Send a request and return its answer; None after an error.

        The response time counts from `planned`, in the event loop's seconds, however late the
        request is sent.
        """
        clock, tally = asyncio.get_running_loop().time, self._tally
        tally.sent += 1
        tally.late = max(tally.late, clock() - planned)
        request_id, self._count = f"{self._run}-{self._count}", self._count + 1
        names = json.dumps({"request_id": request_id, "unit": request.unit})
        body = f'{{"inputs":{self._held.records[request.row]},{names[1:]}'
        found = await self._post(self._predict, body)
        if found is None:
            return None
        label = self._held.labels[request.row]
        prediction = found["outputs"]["prediction"]
        right = bool(prediction == label)
        source = (str(found["arm"]), int(found["version"]))
        tally.count_answer(source, (clock() - planned) * 1000, right)
        return CallerAnswer(request_id, request, prediction)

    async def send_feedback(self, answer: CallerAnswer, scored: bool) -> None:
        """Send the true outcome; if the answer is `scored`, also a rating and a value."""
        label = self._held.labels[answer.request.row]
        feedback: dict[str, Any] = {"request_id": answer.request_id, "label": label}
        if scored:
            right = answer.prediction == label
            feedback |= {"rating": 1 if right else -1, "value": 1 if right else 0}
        found = await self._post(self._feedback, json.dumps(feedback), "feedback ")
        if found is None:
            self._tally.feedback_lost += 1
        else:
            self._tally.feedback_sent += 1

    async def _post(self, address: str, body: str, prefix: str = "") -> Any:
        """Send a body and return the JSON of its answer; None for an error, which is counted."""
        import aiohttp

        try:
            async with self._session.post(address, data=body) as answer:
                content = await answer.read()
                if answer.status in OK:
                    return json.loads(content) if content else {}
                kind = str(answer.status)
        except TimeoutError:
            kind = "time limit"
        except aiohttp.ClientError as error:
            kind = type(error).__name__
        self._tally.errors[prefix + kind] += 1
        return None
