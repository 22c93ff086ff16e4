"""The decision log: a record a step, from which alone every decision can be derived again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sluice.config.policy import Policy, hash_policy
from sluice.rollout.facts import Arm, Facts, read_arm, read_facts, write_arm, write_facts
from sluice.rollout.rules import list_rules
from sluice.rollout.state import Action, Command, Decision, Rollout, Verb, start
from sluice.rollout.state_machine import read_pass, step

Record = dict[str, Any]
"""One line of the log: plain values that JSON can hold."""


class LogBroken(ValueError):  # noqa: N818
    """A log that does not lead to the decisions that it holds."""


@dataclass(frozen=True)
class Derived:
    """One step, derived again."""

    state: Rollout
    decision: Decision


def write_opening(policy: Policy, before: list[Arm], epoch: int) -> Record:
    """Give the log's first record: the policy's hash and the champion's traffic before."""
    arms = [write_arm(arm) for arm in before]
    return {"tick": 0, "policy": hash_policy(policy), "epoch": epoch, "before": arms}


def write_step(
    tick: int, facts: Facts, command: Command | None, derived: Derived, policy: Policy
) -> Record:
    """Give a step's record: what was seen, what every test says now, what was decided and why."""
    state, decision = derived.state, derived.decision
    return {
        "tick": tick,
        "policy": hash_policy(policy),
        "phase": state.phase.value,
        "stage": policy.stages[state.stage].name,
        "weight": state.weight(policy),
        "epoch": state.epoch,
        "decision": decision.verb.value,
        "reason": decision.reason,
        "rule": decision.rule,
        "tests": describe_tests(state, policy),
        "facts": write_facts(facts),
        "command": asdict(command) if command else None,
    }


def describe_tests(state: Rollout, policy: Policy) -> dict[str, dict[str, float | None]]:
    """Give each rule's evidence beside its threshold, as natural logarithms."""
    found: dict[str, dict[str, float | None]] = {}
    for rule in list_rules(policy):
        item = state.seen.evidence[rule.name]
        rate = item.history.rate
        found[rule.name] = {
            "wealth": float(item.rollback.log_wealth),
            "threshold": rule.threshold,
            "rate": float(rate),
            "limit": float(rule.boundary.limit(rate)),
            "pass": read_pass(state.seen, rule.name) if item.has_begun else None,
        }
    return found


def derive(records: Iterable[Record], policy: Policy) -> Iterator[Derived]:
    """Derive every step again, from the log and the policy alone.

    Raises:
        LogBroken: the log is of another policy, has a gap, or holds another decision than follows.
    """
    state: Rollout | None = None
    wanted = hash_policy(policy)
    for expected, record in enumerate(records):
        if record["policy"] != wanted:
            raise LogBroken(f"record {expected}: of another policy, {record['policy'][:12]}")
        if record["tick"] != expected:
            raise LogBroken(f"record {expected}: found tick {record['tick']}; a gap or a double")
        if state is None:
            state = start(policy, [read_arm(arm) for arm in record["before"]], record["epoch"])
            continue
        facts, command = read_facts(record["facts"]), _read_command(record["command"])
        state, decision = step(state, facts, command, policy)
        _compare(record, state, decision, policy)
        yield Derived(state, decision)


def _read_command(values: Mapping[str, str] | None) -> Command | None:
    if values is None:
        return None
    return Command(Action(values["action"]), values["by"], values["why"])


def _compare(record: Record, state: Rollout, decision: Decision, policy: Policy) -> None:
    found = (Verb(record["decision"]), record["reason"], record["phase"], record["epoch"])
    follows = (decision.verb, decision.reason, state.phase.value, state.epoch)
    if found != follows or record["weight"] != state.weight(policy):
        raise LogBroken(f"record {record['tick']}: holds {found}, but {follows} follows")
