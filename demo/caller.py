"""Callers of the gateway: who asks when, and what feedback follows."""

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
"""The user of rank r asks in proportion to r^-SLOPE, as readers and buyers do."""
DRAWN = 4096


@dataclass(frozen=True)
class Asker:
    """One request's unit, and the held-out row that it asks about."""

    unit: str
    row: int


class Audience:
    """A seeded stream of askers; the same seed gives the same stream.

    Without users every request is somebody new, with the rows in a shuffled order, over and over.
    With users each is one person, a row of their own: who meets a fault once meets it every time.
    """

    def __init__(self, rows: int, users: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._rows, self._users, self._seed = rows, users, seed
        self._order = self._rng.permutation(rows)
        shares = np.arange(1, users + 1, dtype=np.float64) ** -SLOPE
        self._edges = np.cumsum(shares) / shares.sum() if users else shares
        self._drawn: list[int] = []
        self._count = 0

    def take(self) -> Asker:
        """Give the next asker."""
        if self._users:
            user = self._draw_user()
            return Asker(f"user-{self._seed}-{user}", int(self._order[user % self._rows]))
        place, self._count = self._count, self._count + 1
        return Asker(f"guest-{self._seed}-{place}", int(self._order[place % self._rows]))

    def _draw_user(self) -> int:
        if not self._drawn:
            places = np.searchsorted(self._edges, self._rng.random(DRAWN), side="right")
            self._drawn = np.minimum(places, self._users - 1).tolist()[::-1]
        return self._drawn.pop()


OK = (200, 202, 204)


@dataclass(frozen=True)
class CallerAnswer:
    """A request that was answered with a prediction, of which something can be told."""

    request_id: str
    asker: Asker
    prediction: Any


@dataclass(frozen=True)
class FeedbackPlan:
    """Feedback: on which share of answers, and how many seconds after them."""

    share: float = 1.0
    delay: float = 2.0


class Caller:
    """Sends requests that do not wait for each other; `held` must outlive it."""

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

    async def ask(self, asker: Asker, planned: float) -> CallerAnswer | None:
        """Ask about the asker's row; give what was answered, None after an error.

        `planned` is in the event loop's seconds. Time counts from there, however late it was sent.
        """
        clock, tally = asyncio.get_running_loop().time, self._tally
        tally.sent += 1
        tally.late = max(tally.late, clock() - planned)
        request_id, self._count = f"{self._run}-{self._count}", self._count + 1
        names = json.dumps({"request_id": request_id, "unit": asker.unit})
        body = f'{{"inputs":{self._held.records[asker.row]},{names[1:]}'
        found = await self._post(self._predict, body)
        if found is None:
            return None
        label = self._held.labels[asker.row]
        prediction = found["outputs"]["prediction"]
        right = bool(prediction == label)
        source = (str(found["arm"]), int(found["version"]))
        tally.count_answer(source, (clock() - planned) * 1000, right)
        return CallerAnswer(request_id, asker, prediction)

    async def tell(self, answered: CallerAnswer, judged: bool) -> None:
        """Tell the true outcome; where classes are predicted also whether the answer was liked."""
        label = self._held.labels[answered.asker.row]
        told: dict[str, Any] = {"request_id": answered.request_id, "label": label}
        if judged:
            right = answered.prediction == label
            told |= {"rating": 1 if right else -1, "value": 1 if right else 0}
        found = await self._post(self._feedback, json.dumps(told), "feedback ")
        if found is None:
            self._tally.untold += 1
        else:
            self._tally.told += 1

    async def _post(self, address: str, body: str, of: str = "") -> Any:
        """Send a body; give the answer's JSON, None where it was none, counted by what it was."""
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
        self._tally.errors[of + kind] += 1
        return None


def plan_moments(rps: float, seconds: float, poisson: bool, seed: int) -> Iterator[float]:
    """Give the moments of an open loop: even gaps, or those of independent callers (Poisson)."""
    draw = random.Random(seed)  # noqa: S311 - no secret hangs on it
    place, at = 0, 0.0
    while True:
        if poisson:
            at += draw.expovariate(rps)
        else:
            at, place = place / rps, place + 1
        if at >= seconds:
            return
        yield at
