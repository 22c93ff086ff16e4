"""kill -9 of workers that answer a prompt with both arms: counters equal the log afterwards."""

import os
import signal
from pathlib import Path

import pytest

from serving.log.records import AssignedArm
from serving.log.worker_runs import sum_counters
from support.gateway.callers import ask_prompt, run_load
from support.gateway.proofs import check_log
from support.gateway.site import Running, read_answers, wait_until
from support.llm.answers import AskedRequest, FakeAnswer, refuse
from support.llm.live import PromptSite, run_prompts
from support.llm.provider import run_provider

pytestmark = [pytest.mark.slow, pytest.mark.faults]
NAME = "mortal"
ARMS = (AssignedArm.CANDIDATE, AssignedArm.CHAMPION)
LEAK = FakeAnswer("Ask ann.smith@example.org.", input_tokens=30, output_tokens=9)


def answer(asked: AskedRequest) -> FakeAnswer:
    """The candidate fails on some questions, and leaks on others."""
    if asked.dialect == "openai" and "3." in asked.question:
        return refuse(401)
    return LEAK if asked.dialect == "openai" else FakeAnswer()


def test_counters_of_both_arms_equal_the_log_after_kills(tmp_path: Path) -> None:
    rules = {"guardrails": {"output": {"pii": "mask"}}}
    with run_provider(answer) as provider:
        site = PromptSite(tmp_path, provider, serving={"defaults": rules}, workers=2)
        site.publish(NAME, 1)
        site.publish(NAME, 2, model="gpt")
        site.canary(NAME, 0.5, arm_timeout_ms=5000.0, cost_cap=1e-4, assign_by="request")
        with run_prompts(site) as running, site.renewing(NAME):
            running.await_candidate(NAME)
            with run_load([running.port], NAME, make=ask_prompt) as load:
                for _ in range(2):
                    before = len(load.replies)
                    wait_until(lambda seen=before: len(load.replies) > seen + 60)
                    victim = running.workers()[0]
                    os.kill(victim, signal.SIGKILL)
                    wait_until(lambda dead=victim: dead not in running.workers())
                    wait_until(lambda: len(running.workers()) == 2)
                    running.await_champion(NAME)
                before = len(load.replies)
                wait_until(lambda: len(load.replies) > before + 60)
            assert load.statuses == {200}, "the champion answers where the candidate fails"
            assert running.end() == 0
            check_log(running, load, NAME)
            for arm in ARMS:
                check_arm(running, arm)


def check_arm(running: Running, arm: AssignedArm) -> None:
    """Each figure of an arm that a rollout judges is the sum over its records of the log."""
    records = [item for item in read_answers(running.folder, NAME) if item.arm is arm]
    found = [item for key, item in sum_counters(running.folder).counts.items() if key.arm is arm]
    assert records
    assert sum(item.requests for item in found) == len(records)
    assert sum(item.failures for item in found) == sum(item.failed for item in records)
    assert sum(item.guardrails for item in found) == sum(item.guardrail for item in records)
    costs = [item.cost for item in records if item.cost is not None]
    assert sum(item.billed for item in found) == sum(item.priced for item in found) == len(costs)
    assert sum(item.spent for item in found) == sum(round(1e6 * cost) for cost in costs)
    shares = sum(round(1e6 * min(cost / 1e-4, 1.0)) for cost in costs)
    assert sum(item.cost for item in found) == shares
    tokens = sum(item.output_tokens or 0 for item in records)
    assert sum(item.output_tokens for item in found) == tokens
