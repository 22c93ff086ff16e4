"""Figures of a prompt's traffic by minute, summed over a rule's window.

A minute is the smallest step: memory grows with minutes and ratings, not with requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from sluice.monitoring.rules import ActiveRule
from sluice.monitoring.signals import Signal
from sluice.monitoring.traffic import FASTEST_MS, STEP
from sluice.rollout.latency import EDGES_PER_DOUBLING, edge_of, find_quantile
from sluice.rollout.latency import SLACK as EDGE_SLACK

QUANTILE = 0.95
PROMPT_SIGNALS = (
    "guardrail-share",
    "token-ratio",
    "thumbs-up-share",
    "first-token-p95",
    "response-p95",
)
"""The signals that are measured of the calls of a prompt."""


@dataclass
class CallCounts:
    """The counts of one minute's calls."""

    requests: int = 0
    hits: int = 0
    """Requests in which a guardrail found something."""
    first_tokens: dict[int, int] = field(default_factory=dict)
    """Streamed answers by bucket of the time to their first token."""
    responses: dict[int, int] = field(default_factory=dict)
    """Whole answers by bucket of their time."""
    tokens: dict[int, tuple[int, float]] = field(default_factory=dict)
    """By version that answered: requests whose tokens are known, and the sum of these."""
    ratings: dict[int, bool] = field(default_factory=dict)
    """By answer: whether its last rating is positive; a rating of 0 is neither."""

    def add(self, other: "CallCounts") -> None:
        """Add a later minute: its ratings go before earlier ones of the same answer."""
        self.requests += other.requests
        self.hits += other.hits
        _add_counts(self.first_tokens, other.first_tokens)
        _add_counts(self.responses, other.responses)
        for version, (requests, total) in other.tokens.items():
            known = self.tokens.get(version, (0, 0.0))
            self.tokens[version] = (known[0] + requests, known[1] + total)
        self.ratings.update(other.ratings)


@dataclass(frozen=True)
class CallColumns:
    """Calls as arrays of one length: times in seconds since 1970, durations in ms.

    Unknown tokens and times are NaN; `is_whole` says that the answer arrived at a caller who stayed
    for it.
    """

    at: Any
    version: Any
    has_hit: Any
    tokens: Any
    first_token_ms: Any
    response_ms: Any
    is_whole: Any


class CallHistory:
    """The counts of a prompt's minutes."""

    def __init__(self) -> None:
        self.minutes: dict[int, CallCounts] = {}

    def add_calls(self, calls: CallColumns) -> None:
        """Add calls."""
        minutes = np.floor_divide(np.asarray(calls.at, float), STEP).astype(np.int64)
        for minute in np.unique(minutes).tolist():
            inside = minutes == minute
            counts = CallCounts(int(inside.sum()), int((inside & calls.has_hit).sum()))
            counts.first_tokens = _count_buckets(calls.first_token_ms[inside])
            counts.responses = _count_buckets(calls.response_ms[inside & calls.is_whole])
            known = inside & np.isfinite(calls.tokens)
            for version in np.unique(calls.version[known]).tolist():
                chosen = calls.tokens[known & (calls.version == version)]
                counts.tokens[int(version)] = (len(chosen), float(chosen.sum()))
            self._find(minute).add(counts)

    def add_ratings(self, at: Any, answers: list[str], ratings: Any) -> None:
        """Add ratings, -1 to 1, by the times of their arrival and the request of their answer."""
        order = np.argsort(np.asarray(at, float), kind="stable")
        for place in order.tolist():
            if ratings[place]:
                minute = self._find(int(at[place] // STEP))
                minute.ratings[hash(answers[place])] = bool(ratings[place] > 0)

    def sum_window(self, start: float, end: float) -> CallCounts:
        """Return the counts of the whole minutes from `start` to `end`, in seconds since 1970."""
        total = CallCounts()
        for minute in range(int(start // STEP), int(end // STEP)):
            if counts := self.minutes.get(minute):
                total.add(counts)
        return total

    def _find(self, minute: int) -> CallCounts:
        return self.minutes.setdefault(minute, CallCounts())


@dataclass(frozen=True)
class CallView:
    """A prompt's calls with what is expected of them: the source of its traffic signals."""

    service: str
    history: CallHistory
    expected: Mapping[int, float] = field(default_factory=dict)
    """By version: mean tokens a request in the evaluation of its release."""

    def measure(self, active: ActiveRule, at: datetime) -> Signal:
        """Return the signal of a rule over its window, which ends at `at`."""
        start = at - timedelta(seconds=active.rule.window)
        counts = self.history.sum_window(start.timestamp(), at.timestamp())
        value, n, reason = self._measure(active.rule.signal, counts)
        return Signal(self.service, active.rule.signal, start, at, value, n, reason=reason)

    def _measure(self, name: str, counts: CallCounts) -> tuple[float | None, int, str]:
        if name == "thumbs-up-share":
            rated = len(counts.ratings)
            share = sum(counts.ratings.values()) / rated if rated else None
            return share, rated, "" if rated else "no rating in the window"
        if not counts.requests:
            return None, 0, "no request in the window"
        if name == "guardrail-share":
            return counts.hits / counts.requests, counts.requests, ""
        if name == "token-ratio":
            return self._compare_tokens(counts)
        times = counts.first_tokens if name == "first-token-p95" else counts.responses
        words = "no streamed answer in the window" if name == "first-token-p95" else "no answer"
        return _find_percentile(times, words)

    def _compare_tokens(self, counts: CallCounts) -> tuple[float | None, int, str]:
        """Return the tokens by those expected of the same versions, and what is left out."""
        known = {key: item for key, item in counts.tokens.items() if self.expected.get(key)}
        unknown = sorted(set(counts.tokens) - set(known))
        names = ", ".join(f"v{version}" for version in unknown)
        words = f"no evaluation of {names} is kept here" if unknown else ""
        requests = sum(item[0] for item in known.values())
        if not requests:
            return None, 0, words or "no request in the window has known tokens"
        expected = sum(item[0] * self.expected[key] for key, item in known.items())
        return sum(item[1] for item in known.values()) / expected, requests, words


def _find_percentile(times: Mapping[int, int], missing: str) -> tuple[float | None, int, str]:
    bucket = find_quantile([times], QUANTILE)
    if bucket is None:
        return None, 0, missing
    return edge_of(bucket), sum(times.values()), ""


def _count_buckets(times: Any) -> dict[int, int]:
    """Return how many times, in ms, are in each bucket of `sluice.rollout.latency`."""
    known = times[np.isfinite(times)]
    bounded = np.maximum(known, FASTEST_MS)
    buckets = np.ceil(EDGES_PER_DOUBLING * np.log2(bounded) - EDGE_SLACK).astype(np.int64)
    found, number = np.unique(buckets, return_counts=True)
    return dict(zip(found.tolist(), number.tolist(), strict=True))


def _add_counts(total: dict[int, int], more: Mapping[int, int]) -> None:
    for bucket, number in more.items():
        total[bucket] = total.get(bucket, 0) + number
