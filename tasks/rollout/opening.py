"""The opening of a rollout: version, policy, observed traffic, and a forecast of its stages."""

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from math import log
from statistics import NormalDist

import numpy as np
from prefect import get_run_logger

from sluice.adapters.control.rollouts import Opening
from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.aliases import CANDIDATE
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import FLOW_RUN
from sluice.adapters.service_versions import ServiceVersions, VersionRecord, open_versions
from sluice.config.loading import find_policy, load_policy
from sluice.config.policy import Policy
from sluice.config.rollout import RolloutSettings
from sluice.control.admission import say_missing
from sluice.control.route import Route
from sluice.errors import PromotionRefused, RolloutRefused
from sluice.home import find_home
from sluice.prompts.listing import name_release
from sluice.rollout.collection import (
    AnswerCosts,
    CounterReading,
    ExpectedState,
    add_arms,
    collect_facts,
    price_block,
    sum_costs,
)
from sluice.rollout.facts import Arm
from sluice.rollout.latency import QUANTILE, Histogram, edge_of, find_quantile
from sluice.rollout.measures import set_cost_cap
from sluice.rollout.record import RolloutRecord
from sluice.rollout.simulation.feasibility import POWER, pass_equal_arms
from sluice.rollout.simulation.traffic import Traffic
from sluice.rollout.state import ALLOWED, Action
from tasks.release.approval import confirm_approval
from tasks.rollout.collection import MetricsCollector
from tasks.rollout.lease import ControllerLease
from tasks.run.champions import find_champion, find_route
from tasks.run.decorators import effect
from tasks.run.lineage import note_parent

AS_CANDIDATE = -1
"""The version that carries the alias `candidate`."""
AS_CONFIGURED = "as-configured"
WATCH_SECONDS = 20.0
"""Longest observation of the traffic before a rollout begins."""


@dataclass(frozen=True)
class ObservedTraffic:
    """The champion's traffic just before the rollout: one arm per block, the total, the seconds."""

    blocks: tuple[Arm, ...] = ()
    total: Arm = field(default_factory=Arm)
    seconds: float = 0.0
    missing: str = ""
    cost: float | None = None
    """Mean cost of its answers in US dollars, since its gateways began; None: nothing is priced."""
    costs: tuple[AnswerCosts, ...] = ()
    """What its answers cost in each block."""

    def price_blocks(self, cap: float) -> tuple[Arm, ...]:
        """Return the blocks with their costs as shares of a cap; as they are with a cap of 0."""
        pairs = zip(self.blocks, self.costs, strict=True)
        return tuple(price_block(arm, costs, cap) for arm, costs in pairs)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.total.requests / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> float:
        """Share of requests that failed; 0 without requests."""
        return self.total.failures / self.total.requests if self.total.requests else 0.0


def choose_policy(config: RolloutSettings, policy: str) -> Policy:
    """Read the named policy, or the service's own.

    Raises:
        ConfigInvalid: there is no such policy, or it is not valid.
        RolloutRefused: it counts units, which live rollouts do not support yet.
    """
    own = policy.replace(" ", "-") == AS_CONFIGURED  # as earlier versions spelled it
    found = find_policy(config) if own else load_policy(policy)
    if found.count == "units":
        raise RolloutRefused(
            f"policy {found.policy}: found `count: units`; allowed in a live rollout: requests"
        )
    return found


@effect
def open_rollout(
    held: ControllerLease, config: RolloutSettings, version: int, policy: Policy
) -> tuple[RolloutRecord, ObservedTraffic]:
    """Open the rollout of a version that passed its gates, with the traffic just observed.

    Raises:
        RolloutRefused: there is no candidate, it is champion already, or there is no champion, or
            the registry does not have the one that serves.
        PromotionRefused: it did not pass a gate, or a person did not approve it.
        Fault: the control store or the registry cannot be reached.
    """
    service = config.service
    versions = open_versions(held.control, open_registry(find_home()), service)
    serves = find_champion(service).version
    if serves is not None and versions.find(serves) is None:
        raise RolloutRefused(say_missing(service, serves))
    candidate = find_candidate(versions, service, version)
    if serves is None or serves == candidate.version:
        fact = f"v{candidate.version} is champion already" if serves else "no champion serves"
        raise RolloutRefused(f"{service}: {fact}; a rollout needs two versions")
    confirm_approval(service)
    if objection := versions.judge(candidate).objection:
        raise PromotionRefused(objection)
    route = find_route(service)
    seen = watch_traffic(service, route, policy) if route else ObservedTraffic()
    cap = set_cost_cap(policy.rules.cost, seen.cost) if seen.cost else 0.0
    opening = Opening(
        service=service,
        champion=serves,
        candidate=candidate.version,
        policy=policy,
        terms=config.rollout.route,
        salt=secrets.token_hex(8),
        before=seen.price_blocks(cap),
        cost_cap=cap,
    )
    if run := candidate.tags.get(FLOW_RUN):
        note_parent(run, "release")
    rollout = held.control.rollouts.open(held.lease, opening, datetime.now(UTC))
    names = (service, rollout.number, candidate.version, serves, policy.policy)
    get_run_logger().info("%s: rollout %d of v%d beside v%d, policy %s", *names)
    return rollout, seen


def find_candidate(versions: ServiceVersions, service: str, version: int) -> VersionRecord:
    """Return the version to roll out.

    Raises:
        RolloutRefused: there is no such version.
        Fault: the registry cannot be reached.
    """
    if version == AS_CANDIDATE:
        found = versions.find_alias(CANDIDATE)
        named = f"a candidate; next: `{name_release(service)}`"
    else:
        found = versions.find(version)
        named = f"v{version}"
    if found is None:
        raise RolloutRefused(f"{service} has no {named.removeprefix('a ')}")
    return found


def watch_traffic(service: str, route: Route, policy: Policy) -> ObservedTraffic:
    """Observe the champion's traffic for the policy's `history`, 20 s at most, block by block."""
    collector, seconds = MetricsCollector(service), min(policy.history, WATCH_SECONDS)
    expected = ExpectedState(service, route.champion, 0, route.epoch, identity=collector.identity)
    readings: dict[str, CounterReading] = {}
    blocks: list[Arm] = []
    began = due = time.monotonic()
    missing, paid, costs = "", AnswerCosts(), list[AnswerCosts]()
    while due - began <= seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        replies = collector.read()
        before, paid = paid, sum_costs(replies, service, route.champion)
        found = collect_facts(replies, expected, readings)
        missing = found.facts.missing
        if found.facts.champion is not None and not found.facts.problem:
            blocks += [found.facts.champion] if readings else []
            costs += [paid.since(before)] if readings else []
            readings = dict(found.readings)
        elif not readings:
            return ObservedTraffic(missing=missing or found.facts.problem)
        due += min(policy.block, seconds)
    total = reduce(add_arms, blocks, Arm())
    if policy.block > seconds:  # a part of a block does not count
        blocks, costs = [], []
    took = time.monotonic() - began
    return ObservedTraffic(tuple(blocks), total, took, missing, paid.mean, tuple(costs))


def make_room(config: RolloutSettings, version: int) -> None:
    """Abort the rollout that is under way, if the service's file says `second: replace`.

    A rollout in its soak, or of the same version, is not aborted but waited for.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    service, control = config.service, prepare_control()
    rollout = control.rollouts.find_open(service)
    if rollout is None or config.rollout.second == "wait":
        return
    versions = open_versions(control, open_registry(find_home()), service)
    candidate = find_candidate(versions, service, version).version
    if rollout.candidate != candidate and rollout.state.phase in ALLOWED[Action.ABORT]:
        reason, now = f"v{candidate} is to be rolled out", datetime.now(UTC)
        control.commands.give(service, Action.ABORT.value, "the next rollout", reason, now)


SEED = 1
LEAST_SPREAD = 0.05
RUNS = 60
"""Simulated rollouts: enough to distinguish stages that can conclude from those that cannot."""


def forecast_stages(service: str, policy: Policy, seen: ObservedTraffic) -> tuple[str, ...]:
    """Report which stages can conclude with this traffic; the others will hold at their end."""
    notes = _forecast(service, policy, seen)
    for note in notes:
        get_run_logger().info(note)
    return notes


def _forecast(service: str, policy: Policy, seen: ObservedTraffic) -> tuple[str, ...]:
    if seen.rate <= 0:
        reason = f" ({seen.missing})" if seen.missing else ""
        return (f"No traffic before the start{reason}: a stage holds until there is some.",)
    notes = [f"Traffic before the start: {seen.rate:,.1f} requests/s, {seen.errors:.2%} errors."]
    latency, spread = describe_latency(seen.total.latencies)
    traffic = Traffic(
        rate=seen.rate, errors=seen.errors, latency=latency, latency_spread=spread, signals=None
    )
    passed = pass_equal_arms(policy, traffic, (RUNS, SEED)).passed
    for stage, seconds in zip(policy.stages, passed, strict=True):
        share = float(np.mean(~np.isnan(seconds)))
        if share < POWER:
            notes.append(
                f"{stage.name}: a candidate that equals the champion passes by max in {share:.0%} "
                f"(wanted {POWER:.0%}); next: `sluice feasible {service} --rps {seen.rate:.0f}` "
                "says what would be enough"
            )
    if len(notes) == 1:
        notes.append("Every stage can conclude at this traffic.")
    if seen.cost is not None:
        free = "nothing, so the rule on cost cannot be judged"
        worth = f"${seen.cost:.3g} each" if seen.cost else free
        notes.append(f"The champion's answers cost {worth}.")
    return tuple(notes)


def describe_latency(latencies: Histogram) -> tuple[float, float]:
    """Return median (ms) and sigma of the lognormal latencies with the observed median and P95.

    Without requests they are the simulator's defaults.
    """
    middle, high = (find_quantile([latencies], share) for share in (0.5, QUANTILE))
    if middle is None or high is None:
        return Traffic.latency, Traffic.latency_spread
    spread = log(edge_of(high) / edge_of(middle)) / NormalDist().inv_cdf(QUANTILE)
    return edge_of(middle), max(spread, LEAST_SPREAD)
