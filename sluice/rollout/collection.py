"""Metrics collection: from the replicas' replies to the facts of one tick."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf, isnan
from typing import Any

from sluice.rollout.facts import Arm, Facts


@dataclass(frozen=True)
class CounterReading:
    """One worker's counters as scraped: the worker's start, and the sums by arm."""

    started: str
    """Start stamp; another one means that the worker restarted and counts from 0 again."""
    candidate: Arm = field(default_factory=Arm)
    champion: Arm = field(default_factory=Arm)


class CountersBroken(ValueError):  # noqa: N818
    """A worker's counters decreased without a restart; the block cannot be used."""


def take_block(
    before: Mapping[str, CounterReading], now: Mapping[str, CounterReading]
) -> tuple[Arm, Arm]:
    """Return the counts of candidate and champion between two scrapes, summed over all workers.

    A worker with a new start stamp, or a new worker, counts from 0. A worker that is gone adds
    nothing: its counts after the previous scrape are lost, equally for both arms.

    Raises:
        CountersBroken: a counter of a worker that did not restart decreased.
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
    """Return the sum of two arms' counts."""
    return Arm(**{item.name: _combine(one, other, item.name, 1) for item in fields(Arm)})


def subtract_arm(now: Arm, before: Arm, worker: str) -> Arm:
    """Return what a worker counted between two readings.

    Raises:
        CountersBroken: a counter decreased.
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
"""The sums in `SUMS` are exported in millionths, so that they are exact."""
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
    runs: Iterable[Mapping[str, Any]], service: str, epoch: int
) -> dict[str, CounterReading]:
    """Return each worker run's counts of a service under one epoch, by the run's name.

    Counts start at 0 with each epoch of the route.
    """
    readings = {}
    for run in runs:
        arms = {"candidate": Arm(), "champion": Arm()}
        for entry in run["counters"]:
            matches = (entry["service"], entry["epoch"], entry["stage"]) == (service, epoch, None)
            if matches and entry["arm"] in arms:
                arms[entry["arm"]] = add_arms(arms[entry["arm"]], read_entry(entry))
        name = run["run"]
        readings[name] = CounterReading(run["started"], arms["candidate"], arms["champion"])
    return readings


def read_entry(entry: Mapping[str, Any]) -> Arm:
    """Build one arm's counts from an exported entry."""
    latencies, first_bytes = (
        {int(bucket): float(n) for bucket, n in entry.get(name, {}).items()}
        for name in ("latencies", "first_bytes")
    )
    plain = {name: float(entry[name]) for name in PLAIN}
    return Arm(
        latencies=latencies,
        first_bytes=first_bytes,
        **plain,
        **{name: entry[name] / PARTS for name in SUMS},
    )


Reply = Mapping[str, Any] | str
"""A replica's decoded reply; or, as text, why there is none."""


@dataclass(frozen=True)
class CollectedFacts:
    """The facts collected from all replicas, and the readings that the next block starts from."""

    facts: Facts
    readings: Mapping[str, CounterReading] = field(default_factory=dict)


@dataclass(frozen=True)
class ExpectedState:
    """What the replicas should serve: a service's two versions under one epoch of its route.

    At full traffic (`alone`) the candidate is the route's champion, and counted as champion there.
    """

    service: str
    champion: int
    candidate: int
    epoch: int
    alone: bool = False
    identity: str = ""
    """Identity of the control store that the replicas must obey; empty: any."""


@dataclass(frozen=True)
class ReplicaReport:
    """One replica's report about the service; readings are those of the epoch that it serves."""

    epoch: int
    readings: Mapping[str, CounterReading]
    tripped: bool
    alarm: float


def collect_facts(
    replies: Mapping[str, Reply], expected: ExpectedState, before: Mapping[str, CounterReading]
) -> CollectedFacts:
    """Build facts from the replies of all replicas; `before` are the previous readings.

    More than half of the replicas must have answered. The counts of a replica that did not answer
    come with its next answer. Impossible readings are not used as a start for the next block.
    """
    reports: dict[str, ReplicaReport] = {}
    missing: dict[str, str] = {}
    for name, reply in replies.items():
        found = _read_reply(reply, expected)
        if isinstance(found, ReplicaReport):
            reports[name] = found
        else:
            missing[name] = found
    epoch = min((item.epoch for item in reports.values()), default=0)
    facts = Facts(
        epoch=epoch,
        missing="; ".join(f"{name}: {reason}" for name, reason in missing.items()),
        tripped=any(item.tripped for item in reports.values()),
        champion_alarm=max((item.alarm for item in reports.values()), default=-inf),
    )
    if 2 * len(reports) <= len(replies):
        reason = facts.missing or "no replica is configured"
        few = f"{len(reports)} of {len(replies)} replicas answer: {reason}"
        return CollectedFacts(replace(facts, epoch=0, missing=few), before)
    if epoch != expected.epoch:  # some still serve an older route: the counts would mix two
        lag = f"epoch {epoch}, the rollout is at epoch {expected.epoch}"
        lag = f"not every replica has the new route yet: {lag}"
        return CollectedFacts(replace(facts, missing=lag), before)
    now = {
        f"{name}/{run}": reading
        for name, report in reports.items()
        for run, reading in report.readings.items()
    }
    return _count(facts, now, before)


def judge_smoke(
    replies: Mapping[str, Reply], version: int, identity: str = ""
) -> tuple[bool | None, str]:
    """Return whether the candidate passed its smoke test, and what the replicas report otherwise.

    False if it failed in one replica; None unless more than half of the replicas could run it.
    """
    found = {
        name: _read_smoke(explain_other(reply, identity) or reply, version)
        for name, reply in replies.items()
    }
    problems = "; ".join(f"{name}: {problem}" for name, (_, problem) in found.items() if problem)
    results = [passed for passed, _ in found.values()]
    if False in results:
        return False, problems
    return (True if 2 * results.count(True) > len(results) else None), problems


def explain_other(reply: Reply, identity: str) -> str:
    """Return why a reply is not from a gateway of the expected store; empty if it is from one."""
    if isinstance(reply, str) or not identity or (found := reply.get("identity")) == identity:
        return ""
    if not found:
        return (
            "a gateway that does not say whose control store it obeys: an older version, or it has "
            "not read the store yet; next: start it again"
        )
    return (
        f"a gateway of another control store ({str(found)[:8]}, not {identity[:8]}); next: "
        "`sluice serve` or `sluice up` with this state folder, or name the right one in "
        "SLUICE_GATEWAY_URLS"
    )


def _read_smoke(reply: Reply, version: int) -> tuple[bool | None, str]:
    if isinstance(reply, str):
        return None, reply
    if reply.get("version") != version:
        return None, f"its candidate is v{reply.get('version')}, not v{version}"
    passed = reply.get("passed") is True
    return passed, "" if passed else str(reply.get("reason") or "failed")


def _count(
    facts: Facts, now: Mapping[str, CounterReading], before: Mapping[str, CounterReading]
) -> CollectedFacts:
    try:
        candidate, champion = take_block(before, now)
    except CountersBroken as error:
        return CollectedFacts(replace(facts, missing=str(error)), now)
    facts = replace(facts, candidate=candidate, champion=champion)
    if candidate.problem or champion.problem:
        return CollectedFacts(facts, before)
    return CollectedFacts(facts, {**before, **now})


def _read_reply(reply: Reply, expected: ExpectedState) -> ReplicaReport | str:
    """Read a replica's reply; return the problem as text if it cannot be used."""
    if isinstance(reply, str):
        return reply
    if other := explain_other(reply, expected.identity):
        return other
    try:
        route = reply["services"].get(expected.service)
        if route is None:
            return f"has no route of {expected.service} yet"
        epoch = int(route["epoch"])
        readings = build_readings(reply["worker_runs"], expected.service, epoch)
        if expected.alone:
            readings = {name: _count_as_candidate(item) for name, item in readings.items()}
        tripped, alarm = _has_tripped(reply, expected), _find_alarm(reply, expected)
        return ReplicaReport(epoch, readings, tripped, alarm)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"its counters cannot be read: {type(error).__name__}: {error}"


@dataclass(frozen=True)
class AnswerCosts:
    """What a version's answers cost: US dollars in all, and the answers whose cost is known."""

    dollars: float = 0.0
    answers: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean cost of an answer; None where no cost is known, as of a model's answers."""
        return self.dollars / self.answers if self.answers > 0 else None

    def since(self, before: "AnswerCosts") -> "AnswerCosts":
        """Return the costs that came after an earlier reading."""
        return AnswerCosts(self.dollars - before.dollars, self.answers - before.answers)


def sum_costs(replies: Mapping[str, Reply], service: str, version: int) -> AnswerCosts:
    """Return what a version's answers cost in every worker run that the replicas still report."""
    spent = billed = 0
    for reply in replies.values():
        for run in () if isinstance(reply, str) else reply.get("worker_runs", ()):
            for entry in run["counters"]:
                found = (entry["service"], entry["version"], entry["stage"])
                if found == (service, version, None):
                    spent += entry.get("spent", 0)
                    billed += entry.get("billed", 0)
    return AnswerCosts(spent / PARTS, billed)


def price_block(arm: Arm, costs: AnswerCosts, cap: float) -> Arm:
    """Return a block from before the rollout with its costs, as shares of a cap set afterwards.

    Only their sum is known, so a single cost beyond the cap counts in full: the champion looks no
    cheaper than it is. A reading that went back, or a cap of 0, leaves the block without costs.
    """
    if cap <= 0 or costs.answers <= 0 or costs.dollars < 0:
        return arm
    return replace(arm, priced=costs.answers, cost=min(costs.answers, costs.dollars / cap))


def list_conflicting(replies: Mapping[str, Reply], service: str) -> list[str]:
    """Return the replicas for which the control store's route of a service does not count."""
    found = []
    for name, reply in replies.items():
        services = {} if isinstance(reply, str) else reply.get("services")
        entry = services.get(service) if isinstance(services, Mapping) else None
        if isinstance(entry, Mapping) and entry.get("conflict"):
            found.append(name)
    return found


def list_epochs(replies: Mapping[str, Reply], service: str) -> dict[str, int]:
    """Return the epoch of a service's route that each replica knows, by address."""
    found = {}
    for name, reply in replies.items():
        try:
            found[name] = 0 if isinstance(reply, str) else int(reply["services"][service]["epoch"])
        except (LookupError, TypeError, ValueError):
            continue
    return {name: epoch for name, epoch in found.items() if epoch > 0}


def _count_as_candidate(reading: CounterReading) -> CounterReading:
    """Return the champion's counts as the candidate's, where the candidate serves alone."""
    return CounterReading(reading.started, reading.champion, Arm())


def _find_breakers(
    reply: Mapping[str, Any], service: str, version: int, arm: str
) -> list[Mapping[str, Any]]:
    key = (service, version, arm)
    breakers = reply["breakers"]
    return [item for item in breakers if (item["service"], item["version"], item["arm"]) == key]


def _has_tripped(reply: Mapping[str, Any], expected: ExpectedState) -> bool:
    found = _find_breakers(reply, expected.service, expected.candidate, "candidate")
    return any(bool(breaker["open"]) for breaker in found)


def _find_alarm(reply: Mapping[str, Any], expected: ExpectedState) -> float:
    """Return the evidence of the champion's circuit breakers; NaN counts as an alarm."""
    found = _find_breakers(reply, expected.service, expected.champion, "champion")
    values = [float(breaker["log_evidence"]) for breaker in found]
    return max((inf if isnan(value) else value for value in values), default=-inf)
