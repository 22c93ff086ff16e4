"""Facts from the replicas' replies; missing replies and impossible counts are reported."""

from dataclasses import replace
from typing import Any

import pytest

from sluice.rollout.collection import (
    AnswerCosts,
    ExpectedState,
    Reply,
    collect_facts,
    judge_smoke,
    price_block,
    sum_costs,
)
from sluice.rollout.facts import Arm

WANTED = ExpectedState("employment", 3, 4, epoch=7)
ZERO = {
    "guardrails": 0,
    "feedbacks": 0,
    "negatives": 0,
    "priced": 0,
    "valued": 0,
    "compared": 0,
    "differing": 0,
    "cost": 0,
    "lack": 0,
}


def entry(arm: str, requests: float, failures: float = 0, epoch: int = 7) -> dict[str, Any]:
    key = {"service": "employment", "version": 3, "arm": arm, "epoch": epoch, "stage": None}
    return {**key, **ZERO, "requests": requests, "failures": failures, "latencies": {"300": 1}}


def reply(candidate: float = 10, champion: float = 90, **facts: Any) -> dict[str, Any]:
    values = {
        "services": {"employment": {"epoch": 7, "candidate": 4}},
        "worker_runs": [
            {
                "run": "w0",
                "started": "1",
                "counters": [entry("candidate", candidate), entry("champion", champion, 1)],
            }
        ],
        "breakers": [],
    }
    return {**values, **facts}


def breaker(version: int, arm: str, is_open: bool, evidence: float) -> dict[str, Any]:
    key = {"service": "employment", "version": version, "arm": arm}
    return {**key, "open": is_open, "log_evidence": evidence}


def test_replicas_are_summed() -> None:
    seen = collect_facts({"a": reply(), "b": reply(5, 45)}, WANTED, {})
    assert seen.facts.candidate is not None
    assert seen.facts.champion is not None
    assert (seen.facts.candidate.requests, seen.facts.champion.requests) == (15, 135)
    assert seen.facts.champion.failures == 2
    assert (seen.facts.epoch, seen.facts.problem) == (7, "")


def test_a_block_has_the_counts_since_the_previous_readings() -> None:
    first = collect_facts({"a": reply()}, WANTED, {})
    second = collect_facts({"a": reply(13, 99)}, WANTED, first.readings)
    assert second.facts.candidate is not None
    assert second.facts.candidate.requests == 3


def test_half_of_the_replicas_missing_is_a_problem_with_its_reason() -> None:
    seen = collect_facts({"a": reply(), "b": "no answer: timed out"}, WANTED, {})
    assert seen.facts.problem == "1 of 2 replicas answer: b: no answer: timed out"
    assert seen.facts.epoch == 0


def test_one_of_three_missing_is_named_and_its_counts_come_later() -> None:
    first = collect_facts({"a": reply(), "b": reply(), "c": reply()}, WANTED, {})
    without = collect_facts({"a": reply(11), "b": reply(11), "c": "away"}, WANTED, first.readings)
    assert without.facts.missing == "c: away"
    assert without.facts.candidate is not None
    assert without.facts.candidate.requests == 2
    back = collect_facts({"a": reply(11), "b": reply(11), "c": reply(17)}, WANTED, without.readings)
    assert back.facts.candidate is not None
    assert back.facts.candidate.requests == 7


def test_no_replica_at_all_is_a_problem() -> None:
    assert "0 of 0 replicas answer" in collect_facts({}, WANTED, {}).facts.problem


def test_a_replica_without_the_new_route_is_waited_for() -> None:
    late = reply(services={"employment": {"epoch": 6, "candidate": 4}})
    seen = collect_facts({"a": reply(), "b": late}, WANTED, {})
    assert seen.facts.epoch == 6
    problem = "not every replica has the new route yet: epoch 6, the rollout is at epoch 7"
    assert seen.facts.problem == problem


def test_counters_that_went_back_are_a_problem_and_the_next_block_counts_from_them() -> None:
    first = collect_facts({"a": reply(10)}, WANTED, {})
    back = collect_facts({"a": reply(4)}, WANTED, first.readings)
    assert "requests went back by 6 without a restart" in back.facts.problem
    after = collect_facts({"a": reply(6)}, WANTED, back.readings)
    assert after.facts.candidate is not None
    assert after.facts.candidate.requests == 2


def test_a_count_that_is_nan_is_a_problem_and_is_not_counted_from() -> None:
    first = collect_facts({"a": reply(10)}, WANTED, {})
    wrong = collect_facts({"a": reply(float("nan"))}, WANTED, first.readings)
    assert wrong.facts.problem == "candidate: requests is nan"
    after = collect_facts({"a": reply(12)}, WANTED, wrong.readings)
    assert after.facts.problem == ""


def test_a_candidate_that_serves_alone_is_counted_as_the_candidate() -> None:
    seen = collect_facts({"a": reply(0, 90)}, ExpectedState("employment", 3, 4, 7, alone=True), {})
    assert seen.facts.candidate is not None
    assert seen.facts.candidate.requests == 90


GOOD: Reply = {"version": 4, "passed": True, "reason": ""}
BAD: Reply = {"version": 4, "passed": False, "reason": "3 labels flip"}
OTHER: Reply = {"version": 5, "passed": True, "reason": ""}
AWAY: Reply = "no answer: refused"


@pytest.mark.parametrize(
    ("replies", "passed", "problems"),
    [
        ([GOOD, GOOD], True, ""),
        ([GOOD, GOOD, AWAY], True, "r2: no answer: refused"),
        ([GOOD, AWAY], None, "r1: no answer: refused"),
        ([GOOD, BAD, GOOD], False, "r1: 3 labels flip"),
        ([BAD, AWAY], False, "r0: 3 labels flip; r1: no answer: refused"),
        ([OTHER], None, "r0: its candidate is v5, not v4"),
        ([{}], None, "r0: its candidate is vNone, not v4"),
        ([], None, ""),
    ],
)
def test_a_smoke_test_is_passed_if_none_failed_and_most_replicas_ran_it(
    replies: list[Reply], passed: bool | None, problems: str
) -> None:
    named = {f"r{place}": item for place, item in enumerate(replies)}
    assert judge_smoke(named, 4) == (passed, problems)


def test_breakers_are_read_over_all_replicas() -> None:
    quiet = reply(breakers=[breaker(3, "champion", False, -2.0)])
    loud = reply(breakers=[breaker(4, "candidate", True, 9.5), breaker(3, "champion", False, 1.5)])
    facts = collect_facts({"a": quiet, "b": loud}, WANTED, {}).facts
    assert (facts.tripped, facts.champion_alarm) == (True, 1.5)


@pytest.mark.parametrize(
    "wrong",
    [
        "no answer",
        reply(services={}),
        reply(services={"employment": {"epoch": "soon", "candidate": 4}}),
        reply(services=[]),
        reply(worker_runs=[{"run": "w0"}]),
        reply(worker_runs=None),
        {"worker_runs": []},
        reply(breakers=[{}]),
    ],
)
def test_a_reply_that_cannot_be_read_counts_as_missing(wrong: Reply) -> None:
    seen = collect_facts({"a": wrong}, WANTED, {})
    assert seen.facts.candidate is None
    assert seen.facts.problem.startswith("0 of 1 replicas answer: a: ")


OURS = replace(WANTED, identity="a" * 32)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"identity": "b" * 32}, "a gateway of another control store (bbbbbbbb, not aaaaaaaa)"),
        ({}, "a gateway that does not say whose control store it obeys"),
    ],
)
def test_a_gateway_of_another_store_is_no_evidence(found: dict[str, Any], said: str) -> None:
    """It has the same service, versions and epoch, as two copies of a demonstration do."""
    seen = collect_facts({"a": reply(**found)}, OURS, {})
    assert seen.facts.candidate is None
    assert f"0 of 1 replicas answer: a: {said}" in seen.facts.problem
    assert "next: " in seen.facts.problem
    passed, problem = judge_smoke({"a": {"version": 4, "passed": True, **found}}, 4, OURS.identity)
    assert passed is None
    assert problem.startswith(f"a: {said}")


def test_a_gateway_of_the_same_store_is_evidence() -> None:
    seen = collect_facts({"a": reply(identity=OURS.identity)}, OURS, {})
    assert seen.facts.problem == ""
    smoke = {"version": 4, "passed": True, "identity": OURS.identity}
    assert judge_smoke({"a": smoke}, 4, OURS.identity) == (True, "")


def test_costs_before_the_rollout_are_shares_of_the_cap_set_afterwards() -> None:
    def answer(spent: int, billed: int, **changes: Any) -> Any:
        entry = {"service": "greet", "version": 1, "stage": None, "spent": spent, "billed": billed}
        return {"worker_runs": [{"counters": [{**entry, **changes}]}]}

    seen = {
        "a": answer(400, 4),
        "b": answer(200, 2),
        "c": "no answer",
        "d": answer(9, 9, version=2),
    }
    costs = sum_costs(seen, "greet", 1)
    assert (costs.dollars, costs.answers) == (pytest.approx(6e-4), 6)
    assert costs.mean == pytest.approx(1e-4)
    assert sum_costs({}, "greet", 1).mean is None
    block = price_block(Arm(requests=6.0), costs, 5e-4)
    assert (block.priced, block.cost) == (6, pytest.approx(1.2))
    assert price_block(Arm(requests=6.0), costs, 1e-9).problem == "", "a sum beyond every cap"
    back = costs.since(AnswerCosts(1.0, 10))
    assert price_block(Arm(requests=6.0), back, 5e-4) == Arm(requests=6.0)
    assert price_block(Arm(requests=6.0), costs, 0.0) == Arm(requests=6.0)
