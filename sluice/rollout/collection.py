"""Metrics collection: from the replicas' replies to the facts of one tick."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf, isnan
from typing import Any

from sluice.rollout.facts import Arm, Facts


@dataclass(frozen=True)
class CounterReading:
    """One worker's counters as scraped: since when it counts, and the sums by arm."""

    started: str
    """Start stamp; another one means that the worker began anew at 0."""
    candidate: Arm = field(default_factory=Arm)
    champion: Arm = field(default_factory=Arm)


class CountersBroken(ValueError):  # noqa: N818
    """A worker's counters went backwards without a restart; the block cannot be used."""


def take_block(
    before: Mapping[str, CounterReading], now: Mapping[str, CounterReading]
) -> tuple[Arm, Arm]:
    """Give what candidate and champion did between two scrapes, summed over workers by name.

    A worker with a new start stamp, or a new one, began at 0. One that is gone adds nothing: what
    it did after the scrape before is lost, for both arms alike.

    Raises:
        CountersBroken: a counter of a worker that did not restart became smaller.
    """
    candidate, champion = Arm(), Arm()
    for name, reading in now.items():
        last = before.get(name)
        if last is None or last.started != reading.started:
            last = CounterReading(reading.started)
        candidate = add_arms(candidate, subtract_arm(reading.candidate, last.candidate, name))
        champion = add_arms(champion, subtract_arm(reading.champion, last.champion, name))
    return candidate, champion


def add_arms(one: Arm, other: Arm) -> Arm:
    """Give the sum of two arms' counts."""
    return Arm(**{item.name: _combine(one, other, item.name, 1) for item in fields(Arm)})


def subtract_arm(now: Arm, before: Arm, worker: str) -> Arm:
    """Give what a worker counted in between.

    Raises:
        CountersBroken: a counter became smaller.
    """
    values = {item.name: _combine(now, before, item.name, -1) for item in fields(Arm)}
    for name, value in values.items():
        smallest = min(value.values(), default=0) if isinstance(value, Mapping) else value
        if smallest < 0:
            raise CountersBroken(f"{worker}: {name} went back by {-smallest:g} without a restart")
    return Arm(**values)


def _combine(one: Arm, other: Arm, name: str, sign: int) -> Any:
    a, b = getattr(one, name), getattr(other, name)
    if isinstance(a, Mapping):
        return {key: a.get(key, 0) + sign * b.get(key, 0) for key in {*a, *b}}
    return a + sign * b


PARTS = 1_000_000
"""Costs and lacks are exported in millionths, so that sums are exact."""
SUMS = ("cost", "lack")
PLAIN = (
    "requests",
    "failures",
    "guardrails",
    "feedbacks",
    "negatives",
    "priced",
    "valued",
    "compared",
    "differing",
)


def build_readings(
    lives: Iterable[Mapping[str, Any]], service: str, epoch: int
) -> dict[str, CounterReading]:
    """Give each life's counts of a service under one epoch, by the life's name.

    Under another epoch the same life reads as nothing: counts begin at 0 with each route.
    """
    readings = {}
    for life in lives:
        arms = {"candidate": Arm(), "champion": Arm()}
        for entry in life["counters"]:
            wanted = (entry["service"], entry["epoch"], entry["stage"]) == (service, epoch, None)
            if wanted and entry["arm"] in arms:
                arms[entry["arm"]] = add_arms(arms[entry["arm"]], read_entry(entry))
        readings[life["life"]] = CounterReading(
            life["started"], arms["candidate"], arms["champion"]
        )
    return readings


def read_entry(entry: Mapping[str, Any]) -> Arm:
    """Build one arm's counts from an exported entry."""
    latencies = {int(bucket): float(n) for bucket, n in entry["latencies"].items()}
    plain = {name: float(entry[name]) for name in PLAIN}
    return Arm(latencies=latencies, **plain, **{name: entry[name] / PARTS for name in SUMS})


Reply = Mapping[str, Any] | str
"""What a replica answered, as plain values; or in words why it did not."""


@dataclass(frozen=True)
class Sighting:
    """One look at all replicas: the facts, and every worker's counters to count the next from."""

    facts: Facts
    readings: Mapping[str, CounterReading] = field(default_factory=dict)


@dataclass(frozen=True)
class ExpectedState:
    """What is looked for: a service's two versions under one epoch of its route.

    At full traffic the candidate is the champion of the route (`alone`), and counted as such.
    """

    service: str
    champion: int
    candidate: int
    epoch: int
    alone: bool = False


@dataclass(frozen=True)
class ReplicaReport:
    """What one replica told about the service; readings are those of the epoch it serves under."""

    epoch: int
    readings: Mapping[str, CounterReading]
    tripped: bool
    alarm: float


def collect_facts(
    replies: Mapping[str, Reply], wanted: ExpectedState, before: Mapping[str, CounterReading]
) -> Sighting:
    """Make facts of the replicas' replies, by replica; `before` are the readings of the last look.

    More than half of the replicas must have answered. What one did that was away comes with its
    next answer. Readings that cannot be right are not counted from.
    """
    told: dict[str, ReplicaReport] = {}
    away: dict[str, str] = {}
    for name, reply in replies.items():
        found = _read_reply(reply, wanted)
        if isinstance(found, ReplicaReport):
            told[name] = found
        else:
            away[name] = found
    epoch = min((item.epoch for item in told.values()), default=0)
    seen = Facts(
        epoch=epoch,
        missing="; ".join(f"{name}: {why}" for name, why in away.items()),
        tripped=any(item.tripped for item in told.values()),
        champion_alarm=max((item.alarm for item in told.values()), default=-inf),
    )
    if 2 * len(told) <= len(replies):
        few = f"{len(told)} of {len(replies)} replicas answer: {seen.missing or 'none is named'}"
        return Sighting(replace(seen, epoch=0, missing=few), before)
    if epoch != wanted.epoch:  # some still serve by an older route: no count is of this one alone
        lag = f"not every replica has followed: epoch {epoch}, the rollout is at {wanted.epoch}"
        return Sighting(replace(seen, missing=lag), before)
    now = {f"{name}/{life}": it for name, one in told.items() for life, it in one.readings.items()}
    return _count(seen, now, before)


def judge_smoke(replies: Mapping[str, Reply], version: int) -> tuple[bool | None, str]:
    """Say whether the candidate passed its smoke test, and in words what any replica tells else.

    False where it failed in one; None where not more than half of the replicas could ask it.
    """
    found = {name: _read_smoke(reply, version) for name, reply in replies.items()}
    words = "; ".join(f"{name}: {why}" for name, (_, why) in found.items() if why)
    passed = [good for good, _ in found.values()]
    if False in passed:
        return False, words
    return (True if 2 * passed.count(True) > len(passed) else None), words


def _read_smoke(reply: Reply, version: int) -> tuple[bool | None, str]:
    if isinstance(reply, str):
        return None, reply
    if reply.get("version") != version:
        return None, f"its candidate is v{reply.get('version')}, not v{version}"
    passed = reply.get("passed") is True
    return passed, "" if passed else str(reply.get("why") or "failed")


def _count(
    seen: Facts, now: Mapping[str, CounterReading], before: Mapping[str, CounterReading]
) -> Sighting:
    try:
        candidate, champion = take_block(before, now)
    except CountersBroken as error:
        return Sighting(replace(seen, missing=str(error)), now)
    facts = replace(seen, candidate=candidate, champion=champion)
    if candidate.fault or champion.fault:
        return Sighting(facts, before)
    return Sighting(facts, {**before, **now})


def _read_reply(reply: Reply, wanted: ExpectedState) -> ReplicaReport | str:
    """Read what a replica told; in words why nothing can be made of it."""
    if isinstance(reply, str):
        return reply
    try:
        route = reply["services"].get(wanted.service)
        if route is None:
            return f"has no route of {wanted.service} yet"
        epoch = int(route["epoch"])
        readings = build_readings(reply["lives"], wanted.service, epoch)
        if wanted.alone:
            readings = {name: _turn(item) for name, item in readings.items()}
        tripped, alarm = _has_tripped(reply, wanted), _find_alarm(reply, wanted)
        return ReplicaReport(epoch, readings, tripped, alarm)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"its counters cannot be read: {type(error).__name__}: {error}"


def _turn(reading: CounterReading) -> CounterReading:
    """Give the counts of who serves alone as the candidate's."""
    return CounterReading(reading.started, reading.champion, Arm())


def _find_circuits(
    reply: Mapping[str, Any], service: str, version: int, arm: str
) -> list[Mapping[str, Any]]:
    key = (service, version, arm)
    told = reply["breakers"]
    return [item for item in told if (item["service"], item["version"], item["arm"]) == key]


def _has_tripped(reply: Mapping[str, Any], wanted: ExpectedState) -> bool:
    found = _find_circuits(reply, wanted.service, wanted.candidate, "candidate")
    return any(bool(circuit["open"]) for circuit in found)


def _find_alarm(reply: Mapping[str, Any], wanted: ExpectedState) -> float:
    """Give the champion's breaker evidence; one that is no number alarms."""
    found = _find_circuits(reply, wanted.service, wanted.champion, "champion")
    values = [float(circuit["log_evidence"]) for circuit in found]
    return max((inf if isnan(value) else value for value in values), default=-inf)
