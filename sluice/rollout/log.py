"""The decision log: one record per step, from which every decision can be derived again.

Logs that earlier versions wrote hold other words for the same things; `read_record` and
`reword_reason` translate them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sluice.config.policy import Policy, hash_policy
from sluice.rollout.facts import Arm, Facts, read_arm, read_facts, write_arm, write_facts
from sluice.rollout.rules import list_rules
from sluice.rollout.state import Action, Command, Decision, RolloutState, Verb, start
from sluice.rollout.state_machine import read_pass, step

LogRecord = dict[str, Any]
"""One line of the log: values that JSON can hold."""


class LogBroken(ValueError):  # noqa: N818
    """The decisions in a log do not follow from what was recorded with them."""


@dataclass(frozen=True)
class Derived:
    """One step, derived again."""

    state: RolloutState
    decision: Decision


def write_opening(policy: Policy, before: list[Arm], epoch: int) -> LogRecord:
    """Return the log's first record: the policy's hash and the champion's traffic before."""
    arms = [write_arm(arm) for arm in before]
    return {"tick": 0, "policy": hash_policy(policy), "epoch": epoch, "before": arms}


def write_step(
    tick: int, facts: Facts, command: Command | None, derived: Derived, policy: Policy
) -> LogRecord:
    """Return a step's record: its facts, every test's evidence, the decision and its reason."""
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


def describe_tests(state: RolloutState, policy: Policy) -> dict[str, dict[str, float | None]]:
    """Return each rule's evidence beside its threshold, as natural logarithms."""
    found: dict[str, dict[str, float | None]] = {}
    for rule in list_rules(policy):
        item = state.observation.evidence[rule.name]
        rate = item.history.rate
        found[rule.name] = {
            "wealth": float(item.rollback.log_wealth),
            "threshold": rule.threshold,
            "rate": float(rate),
            "limit": float(rule.boundary.limit(rate)),
            "pass": read_pass(state.observation, rule.name) if item.has_begun else None,
        }
    return found


def derive(records: Iterable[LogRecord], policy: Policy) -> Iterator[Derived]:
    """Derive every step again, from the log and the policy alone.

    Raises:
        LogBroken: another policy's log, a missing tick, or a decision that does not follow.
    """
    state: RolloutState | None = None
    policy_hash = hash_policy(policy)
    for expected, record in enumerate(map(read_record, records)):
        if record["policy"] != policy_hash:
            raise LogBroken(f"record {expected}: of another policy, {record['policy'][:12]}")
        if record["tick"] != expected:
            found = f"found tick {record['tick']}; a tick is missing or there twice"
            raise LogBroken(f"record {expected}: {found}")
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
    return Command(Action(values["action"]), values["by"], values["reason"])


def _compare(record: LogRecord, state: RolloutState, decision: Decision, policy: Policy) -> None:
    reasons = reword_reason(record["reason"]), reword_reason(decision.reason)
    found = (Verb(record["decision"]), reasons[0], record["phase"], record["epoch"])
    follows = (decision.verb, reasons[1], state.phase.value, state.epoch)
    if found != follows or record["weight"] != state.weight(policy):
        raise LogBroken(f"record {record['tick']}: holds {found}, but {follows} follows")


RENAMED_VERBS = {"go on": Verb.ADVANCE.value}
"""Decisions as earlier versions wrote them, and as they are written today."""
RENAMED_FIELDS = {"why": "reason"}
"""The same for the fields of a record's command."""
REWORDED = (
    (r"proved within its limits in (\d+) blocks", r"every test passed after \1 blocks"),
    (r"not proved in (\d+) blocks", r"not passed after \1 blocks"),
    (r"an incident that is not the candidate's", "the candidate is not the cause"),
    (
        r"its breaker opened while the champion was quiet",
        "its circuit breaker opened while the champion was healthy",
    ),
    (r"the champion is quiet again", "the champion is healthy again"),
    (r"a person has to say yes", "a person must approve this stage"),
    (r"not every gateway has followed", "not every gateway has the new route yet"),
    (r"serve under (epoch \d+), the rollout is at (\d+)", r"serve \1, the rollout is at epoch \2"),
    (r"; allowed where it is ", "; allowed while it is "),
    (r"; say who and why", "; needed: a name and a reason"),
    (r"(?<=evidence )-(?=0\.00 )", ""),
    (r"\bpromote now(?= \(|: )", "promote-now"),
    (r"\broll back(?= \(|: )", "roll-back"),
)
"""Patterns of reasons as earlier versions wrote them, and the same in today's words."""


def read_record(record: LogRecord) -> LogRecord:
    """Return a record with today's names of decisions and fields; its reason stays as written."""
    if "decision" not in record:
        return record
    command = record["command"]
    if command is not None:
        command = {RENAMED_FIELDS.get(name, name): value for name, value in command.items()}
    decision = RENAMED_VERBS.get(record["decision"], record["decision"])
    return {**record, "decision": decision, "command": command}


def reword_reason(reason: str) -> str:
    """Return a reason in today's words, so that reasons of different versions can be compared."""
    for pattern, words in REWORDED:
        reason = re.sub(pattern, words, reason)
    return reason
