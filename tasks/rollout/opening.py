"""Open a rollout: the version, the policy, the traffic, and what can be proved with it."""

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
from sluice.adapters.registry.aliases import CANDIDATE, CHAMPION
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.versions import ModelVersionRef, check_verdicts
from sluice.config.loading import find_policy, load_policy
from sluice.config.policy import Policy
from sluice.config.service import ServiceConfig
from sluice.control.route import Route
from sluice.errors import RolloutRefused
from sluice.home import find_home
from sluice.rollout.collection import CounterReading, ExpectedState, add_arms, collect_facts
from sluice.rollout.facts import Arm
from sluice.rollout.latency import QUANTILE, Histogram, edge_of, find_quantile
from sluice.rollout.record import RolloutRecord
from sluice.rollout.simulation.feasibility import POWER, pass_equal_arms
from sluice.rollout.simulation.traffic import Traffic
from sluice.rollout.state import ALLOWED, Action
from tasks.release.approval import confirm_approval
from tasks.rollout.collection import MetricsCollector
from tasks.rollout.lease import ControllerLease
from tasks.run.decorators import effect
from tasks.run.leases import prepare_control, route_to_champion

AS_CANDIDATE = -1
"""The version that carries the alias `candidate`."""
AS_CONFIGURED = "as configured"
WATCH_SECONDS = 20.0
"""How long traffic is watched at most before a rollout begins."""


@dataclass(frozen=True)
class ObservedTraffic:
    """The champion's traffic just before: an arm a block, all together, and how long it took."""

    blocks: tuple[Arm, ...] = ()
    total: Arm = field(default_factory=Arm)
    seconds: float = 0.0
    missing: str = ""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.total.requests / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> float:
        """Share of requests that failed; 0 without any."""
        return self.total.failures / self.total.requests if self.total.requests else 0.0


def choose_policy(config: ServiceConfig, policy: str) -> Policy:
    """Read the policy that is named, or the service's own.

    Raises:
        ConfigInvalid: there is no such policy, or it is not right.
        RolloutRefused: it counts users, which no live rollout does yet.
    """
    found = find_policy(config) if policy == AS_CONFIGURED else load_policy(policy)
    if found.count == "units":
        raise RolloutRefused(
            f"policy {found.policy}: found `count: units`; allowed in a live rollout: requests"
        )
    return found


@effect
def open_rollout(
    held: ControllerLease, config: ServiceConfig, version: int, policy: Policy
) -> tuple[RolloutRecord, ObservedTraffic]:
    """Open the rollout of a version that passed its gates, on the traffic of the last seconds.

    Raises:
        RolloutRefused: there is no candidate, or it serves already, or none serves beside it.
        PromotionRefused: a gate did not say `pass`, or a person did not approve.
        Fault: the control store or the registry cannot be reached.
    """
    service, registry = config.service, open_registry(find_home())
    champion = registry.find_alias(service, CHAMPION)
    candidate = find_candidate(registry, service, version)
    if champion is None or champion.version == candidate.version:
        fact = f"v{candidate.version} is champion already" if champion else "no champion serves"
        raise RolloutRefused(f"{service}: {fact}; a rollout needs two versions")
    confirm_approval(service)
    check_verdicts(candidate)
    route = route_to_champion(champion)
    seen = watch_traffic(service, route, policy) if route else ObservedTraffic()
    opening = Opening(
        service=service,
        champion=champion.version,
        candidate=candidate.version,
        policy=policy,
        terms=config.rollout.route,
        salt=secrets.token_hex(8),
        before=seen.blocks,
    )
    course = held.control.rollouts.open(held.lease, opening, datetime.now(UTC))
    told = (service, course.number, candidate.version, champion.version, policy.policy)
    get_run_logger().info("%s: rollout %d of v%d beside v%d, policy %s", *told)
    return course, seen


def find_candidate(registry: Registry, service: str, version: int) -> ModelVersionRef:
    """Give the version that is to be rolled out.

    Raises:
        RolloutRefused: there is none.
        Fault: the registry cannot be reached.
    """
    if version == AS_CANDIDATE:
        found = registry.find_alias(service, CANDIDATE)
        named = "a candidate; next: release one"
    else:
        found = find_version(registry, service, version)
        named = f"v{version}"
    if found is None:
        raise RolloutRefused(f"{service} has no {named.removeprefix('a ')}")
    return found


def watch_traffic(service: str, route: Route, policy: Policy) -> ObservedTraffic:
    """Look at the champion's traffic for the policy's `history`, 20 s at most, block by block."""
    lookout, seconds = MetricsCollector(service), min(policy.history, WATCH_SECONDS)
    wanted = ExpectedState(service, route.champion, 0, route.epoch)
    readings: dict[str, CounterReading] = {}
    blocks: list[Arm] = []
    began = due = time.monotonic()
    missing = ""
    while due - began <= seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        found = collect_facts(lookout.read(), wanted, readings)
        missing = found.facts.missing
        if found.facts.champion is not None and not found.facts.fault:
            blocks += [found.facts.champion] if readings else []
            readings = dict(found.readings)
        elif not readings:
            return ObservedTraffic(missing=missing or found.facts.fault)
        due += min(policy.block, seconds)
    whole = tuple(blocks) if policy.block <= seconds else ()  # a part of one is no block
    return ObservedTraffic(
        whole, reduce(add_arms, blocks, Arm()), time.monotonic() - began, missing
    )


def make_room(config: ServiceConfig, version: int) -> None:
    """Ask the rollout that is under way to end, where the service's file says `second: replace`.

    One that nears its end is waited for, and one of this very version is.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    service, control = config.service, prepare_control()
    course = control.rollouts.find_open(service)
    if course is None or config.rollout.second == "wait":
        return
    wanted = find_candidate(open_registry(find_home()), service, version).version
    if course.candidate != wanted and course.state.phase in ALLOWED[Action.ABORT]:
        why, now = f"v{wanted} is to be rolled out", datetime.now(UTC)
        control.commands.give(service, Action.ABORT.value, "the next rollout", why, now)


SEED = 1
LEAST_SPREAD = 0.05
RUNS = 60
"""Simulated rollouts: enough to tell a stage that can conclude from one that cannot."""


def forecast_stages(policy: Policy, seen: ObservedTraffic) -> tuple[str, ...]:
    """Say which stages can conclude; a rollout that cannot goes on, and holds where it cannot."""
    notes = _weigh(policy, seen)
    for note in notes:
        get_run_logger().info(note)
    return notes


def _weigh(policy: Policy, seen: ObservedTraffic) -> tuple[str, ...]:
    if seen.rate <= 0:
        why = f" ({seen.missing})" if seen.missing else ""
        return (f"No traffic was seen before the start{why}: a stage holds until there is some.",)
    said = [f"Traffic before the start: {seen.rate:,.1f} requests/s, {seen.errors:.2%} errors."]
    latency, spread = describe_latency(seen.total.latencies)
    traffic = Traffic(
        rate=seen.rate, errors=seen.errors, latency=latency, latency_spread=spread, signals=None
    )
    passed = pass_equal_arms(policy, traffic, (RUNS, SEED)).passed
    for stage, seconds in zip(policy.stages, passed, strict=True):
        share = float(np.mean(~np.isnan(seconds)))
        if share < POWER:
            said.append(
                f"{stage.name}: a candidate that equals the champion passes by max in {share:.0%} "
                f"(wanted {POWER:.0%}); next: `sluice feasible SERVICE --rps {seen.rate:.0f}` "
                "says what would be enough"
            )
    if len(said) == 1:
        said.append("Every stage can conclude at this traffic.")
    return tuple(said)


def describe_latency(latencies: Histogram) -> tuple[float, float]:
    """Give median (ms) and sigma of the lognormal times whose median and P95 were seen.

    Where no request was seen they are the simulator's own.
    """
    middle, high = (find_quantile([latencies], share) for share in (0.5, QUANTILE))
    if middle is None or high is None:
        return Traffic.latency, Traffic.latency_spread
    spread = log(edge_of(high) / edge_of(middle)) / NormalDist().inv_cdf(QUANTILE)
    return edge_of(middle), max(spread, LEAST_SPREAD)
