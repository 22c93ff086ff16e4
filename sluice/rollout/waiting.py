"""What still keeps a stage from its end, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

from sluice.config.policy import Policy
from sluice.rollout.facts import Facts
from sluice.rollout.observation import Observation
from sluice.rollout.sample_ratio import THRESHOLD, weigh_ratio
from sluice.rollout.state import Rollout


@dataclass(frozen=True)
class Want:
    """One thing that is wanting; `holds` where more traffic alone does not bring it."""

    words: str
    holds: bool = True


def list_wants(state: Rollout, facts: Facts, policy: Policy) -> Iterator[Want]:
    """Name everything that keeps the stage from its end, in the order in which it is asked."""
    stage, seen = policy.stages[state.stage], state.seen
    if empty := _name_empty(facts):
        yield Want(empty, holds=False)
    least = policy.count_blocks(stage.min)
    if seen.blocks < least:
        yield Want(f"block {seen.blocks} of at least {least}", holds=False)
        return
    if facts.units is not None and stage.weight > 0:
        units = facts.units.candidate, facts.units.champion
        if weigh_ratio(*units, stage.weight) >= THRESHOLD:
            yield Want(f"sample ratio: {units[0]:,} and {units[1]:,} units at {stage.weight:g}")
    for name in stage.passes:
        yield from _ask_pass(seen, name, policy)
    if stage.weight == 0 and policy.count == "requests" and facts.fair_salt is not True:
        found = "not yet measured" if facts.fair_salt is None else "no salt is fair: count units"
        yield Want(f"shadow balance: {found}")
    if facts.smoke is not True:
        yield Want(f"smoke test: {'not yet run' if facts.smoke is None else 'failed'}")
    if stage.approve and not state.approved:
        yield Want("approval: a person has to say yes")


def _name_empty(facts: Facts) -> str:
    """Say which arm had no request in this tick; nothing is gone on with while one has none."""
    arms = (("candidate ", facts.candidate), ("champion ", facts.champion))
    empty = [name for name, arm in arms if arm is None or arm.requests <= 0]
    return f"no {'' if len(empty) == len(arms) else empty[0]}traffic" if empty else ""


def _ask_pass(seen: Observation, name: str, policy: Policy) -> Iterator[Want]:
    value, wanted = read_pass(seen, name), log(1 / policy.pass_alpha)
    if value is None:
        yield Want(f"{name}: cannot be tested at the champion's rate")
    elif value < wanted:
        yield Want(f"{name}: evidence {value:.2f} of {wanted:.2f}", holds=False)


def read_pass(seen: Observation, name: str) -> float | None:
    """Give a pass test's value as a natural logarithm, None where it cannot be tested."""
    if name == "disagreement":
        return float(seen.disagreement.log_value)
    item = seen.evidence[name]
    possible = bool(item.passing.is_possible(item.history.rate))
    return float(item.passing.log_value) if possible else None
