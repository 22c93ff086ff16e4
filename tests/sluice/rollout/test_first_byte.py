"""The rule on the time to the first piece of a streamed answer."""

import json

from sluice.config.loading import load_policy
from sluice.config.policy import FirstByteRule, Policy, hash_policy, read_policy, write_policy
from sluice.rollout.facts import Arm, read_arm, write_arm
from sluice.rollout.latency import bucket_of
from sluice.rollout.observation import Observation, find_rejections, observe
from sluice.rollout.rules import list_rules
from sluice.rollout.state import read_state, start, write_state

LAPTOP = load_policy("laptop")
RULE = FirstByteRule(ratio=2.0, min_effect_ms=50.0)
TIMED = LAPTOP.model_copy(update={"rules": LAPTOP.rules.model_copy(update={"first_byte": RULE})})


def make_arm(first_ms: float, requests: float = 200.0) -> Arm:
    """Return a block of streamed answers that all begin after the same time."""
    whole, first = {bucket_of(2000.0): requests}, {bucket_of(first_ms): requests}
    return Arm(requests=requests, latencies=whole, first_bytes=first)


def watch(first_ms: float, policy: Policy = TIMED, blocks: int = 30) -> Observation:
    """Return the observation after blocks in which the champion begins after 200 ms."""
    found = start(policy, [make_arm(200.0)] * 20).observation
    for _ in range(blocks):
        found = observe(found, make_arm(first_ms), make_arm(200.0), policy)
    return found


def test_a_candidate_that_begins_three_times_as_late_is_rejected_by_this_rule() -> None:
    rules = find_rejections(watch(600.0), TIMED)
    assert [rule.name for rule in rules] == ["first_byte"]
    assert rules[0].action == "roll_back"


def test_one_that_begins_within_the_limit_is_not() -> None:
    assert find_rejections(watch(390.0), TIMED) == []
    assert find_rejections(watch(200.0), TIMED) == []


def test_answers_that_are_not_streamed_say_nothing() -> None:
    found = start(TIMED, [make_arm(200.0)] * 20).observation
    silent = Arm(requests=200.0, latencies={bucket_of(2000.0): 200.0})
    for _ in range(30):
        found = observe(found, silent, make_arm(200.0), TIMED)
    assert find_rejections(found, TIMED) == []
    assert float(found.evidence["first_byte"].rollback.log_wealth) < 1


def test_a_policy_without_the_rule_is_the_one_that_it_was() -> None:
    assert "first_byte" not in {rule.name for rule in list_rules(LAPTOP)}
    values = json.loads(write_policy(LAPTOP))
    del values["rules"]["first_byte"]
    assert hash_policy(read_policy(json.dumps(values))) == hash_policy(LAPTOP)
    assert hash_policy(TIMED) != hash_policy(LAPTOP)


def test_state_and_counts_are_read_as_they_were_written() -> None:
    state = start(TIMED, [make_arm(200.0)] * 20)
    after = observe(state.observation, make_arm(300.0), make_arm(200.0), TIMED)
    written = write_state(state.__class__(state.phase, 0, 1, after))
    again = read_state(json.loads(json.dumps(written)), TIMED)
    assert again.observation.first_byte == after.first_byte
    arm = make_arm(300.0)
    assert read_arm(json.loads(json.dumps(write_arm(arm)))) == arm
    assert "first_bytes" not in write_arm(Arm()), "logs of models stay as they were"
