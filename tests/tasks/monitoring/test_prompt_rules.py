"""Each rule of prompts on a planted cause in a real traffic log: raised once, resolved once."""

from datetime import timedelta
from hashlib import sha256

import pytest

from serving.log.records import Feedback
from sluice.adapters.control.store import prepare_control
from sluice.adapters.storage import write_whole
from sluice.config.llm.budgets import list_budgets
from sluice.config.llm.monitoring import WatchedPrompt, find_prompt_rules
from sluice.config.llm.serving import BudgetsConfig, PeriodLimits, PromptMonitoringConfig
from sluice.control.spending import Account, Budget, BudgetScope, count_billionths
from sluice.home import Home
from sluice.prompts.chat import TokenUsage
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.prompts.published import write_published
from sluice.prompts.version import PromptVersion
from support.monitoring import MINUTE, NOON
from support.prompts import VERSION
from support.traffic import TrafficWriter
from tasks.monitoring.judging import follow_rule
from tasks.monitoring.prompts import PromptMeasurer
from tasks.monitoring.signals import LogState

PROMPT = "greet"
HOUR = timedelta(hours=1)
CALL = {"service": PROMPT, "version": 1, "arm_version": 1, "latency_ms": 900.0}
TOKENS = {"input_tokens": 30, "output_tokens": 10}


class Watched:
    """A prompt with a traffic log, an evaluation and a control store, judged at any moment."""

    def __init__(self, home: Home) -> None:
        self.home, self.control = home, prepare_control(home)
        self.traffic = TrafficWriter(home)
        budgets = BudgetsConfig(service=PeriodLimits(day=1.0, week=100.0))
        self.config = WatchedPrompt(PROMPT, PromptMonitoringConfig(), budgets)
        version = PromptVersion.model_validate(VERSION)
        folder, kept = home.published_prompts(PROMPT), home.evaluations(PROMPT) / "answers"
        folder.mkdir(parents=True)
        kept.mkdir(parents=True)
        write_whole({folder / name: text for name, text in write_published(version).items()})
        answer = AnswerResult("Hi!", usage=TokenUsage(30, 10))
        cases = (CaseResult("c1", "Ada", (answer,)),)
        facts = (PROMPT, 1, version.identity, "set", "model", "development", cases)
        place = kept / f"v1-{version.identity[:12]}.json"
        place.write_text(PromptEvaluation(*facts).to_json())

    def judge(self, rule: str, now: object) -> list[str]:
        measurer = PromptMeasurer(
            self.home,
            self.control,
            self.config,
            LogState(0.0, "", now),
            now,  # type: ignore[arg-type]
        )
        active = find_prompt_rules(self.config)[rule]
        return [item.kind.value for item in follow_rule(self.control, measurer, active, [])]

    def explain(self, rule: str) -> str:
        return self.control.alerts.find(PROMPT, rule).reason


@pytest.fixture
def watched(home: Home) -> Watched:
    return Watched(home)


@pytest.mark.parametrize(
    ("rule", "good", "bad", "found"),
    [
        ("guardrail-rate", {}, {"hits": ("input:email:mask",)}, "of requests hit a guardrail"),
        ("tokens", TOKENS, {"input_tokens": 300, "output_tokens": 10}, "the tokens of the"),
        ("first-token", {"first_byte_ms": 400.0}, {"first_byte_ms": 3000.0}, "P95 3,0"),
        ("response-time", {}, {"latency_ms": 15_000.0}, "P95 15,"),
    ],
)
def test_a_planted_cause_is_raised_and_resolved(
    watched: Watched, rule: str, good: dict[str, object], bad: dict[str, object], found: str
) -> None:
    watched.traffic.answer(NOON - 10 * MINUTE, 600, **{**CALL, **good})
    assert watched.judge(rule, NOON) == []
    watched.traffic.answer(NOON, 900, **{**CALL, **bad})
    kinds = watched.judge(rule, NOON + 15 * MINUTE)
    assert kinds[-1] == "raised"
    assert found in watched.explain(rule)
    watched.traffic.answer(NOON + 3 * HOUR, 1500, **{**CALL, **good})
    assert watched.judge(rule, NOON + 3 * HOUR + 25 * MINUTE) == ["resolved"]


def test_negative_ratings_are_raised_and_a_few_are_not_judged(watched: Watched) -> None:
    watched.traffic.answer(NOON - HOUR, 60, **CALL)
    ratings = [
        Feedback(f"r{number}", NOON.timestamp() + number, rating=rating, service=PROMPT)
        for number, rating in enumerate([1.0] * 30 + [-1.0] * 30)
    ]
    watched.traffic.write(ratings[:40])
    assert watched.judge("thumbs-up", NOON + 2 * MINUTE) == []
    assert watched.explain("thumbs-up") == "thumbs-up-share: n 40, needed 50"
    watched.traffic.write(ratings[40:])
    assert watched.judge("thumbs-up", NOON + 3 * MINUTE) == ["raised"]
    assert "50 % of ratings are positive, below 80 %" in watched.explain("thumbs-up")


def test_a_budget_is_alerted_at_a_share_before_it_is_spent(watched: Watched) -> None:
    account = Account("service", PROMPT, f"{NOON:%Y-%m-%d}")
    budget = Budget(account, count_billionths(1.0))

    def spend(dollars: float) -> None:
        amount = count_billionths(dollars)
        held = watched.control.spending.reserve([budget], amount, 60, NOON)
        watched.control.spending.settle(held, amount, NOON)

    spend(0.79)
    assert watched.judge("spend-near", NOON) == []
    spend(0.02)
    assert watched.judge("spend-near", NOON + MINUTE) == ["raised"]
    assert "spend of the day 0.81 times its budget, above 0.8 times" in watched.explain(
        "spend-near"
    )
    assert watched.judge("spend", NOON + MINUTE) == []
    assert watched.judge("spend-near", NOON + 24 * HOUR) == ["resolved"]


@pytest.mark.parametrize("scope", ["key", "user"])
def test_the_budget_of_each_key_and_user_is_alerted_at_its_share(
    watched: Watched, scope: BudgetScope
) -> None:
    budgets = BudgetsConfig.model_validate({scope: {"day": 0.5}})
    watched.config = WatchedPrompt(PROMPT, PromptMonitoringConfig(), budgets)

    def spend(subject: str, dollars: float) -> None:
        account = Account(scope, subject, f"{NOON:%Y-%m-%d}")
        amount = count_billionths(dollars)
        held = watched.control.spending.reserve([Budget(account, amount * 9)], amount, 60, NOON)
        watched.control.spending.settle(held, amount, NOON)

    assert watched.judge("spend-near", NOON) == []
    assert "nothing is spent" in watched.explain("spend-near")
    for number in range(8):
        spend(f"a{number} of {PROMPT}", 0.3)
    spend(f"zz of not{PROMPT}", 0.49)
    spend("zz of gree_", 0.49)
    assert watched.judge("spend-near", NOON + MINUTE) == []
    assert watched.explain("spend-near").startswith(
        f"spend of the day of a {scope} 0.6 times its budget, not above 0.8 times; {scope} a0: "
    )
    spend(f"a5 of {PROMPT}", 0.11)
    assert watched.judge("spend-near", NOON + 2 * MINUTE) == ["raised"]
    assert f"0.82 times its budget, above 0.8 times; {scope} a5: " in watched.explain("spend-near")
    for number in range(5):
        spend(f"a{number} of {PROMPT}", 0.12)
    assert watched.judge("spend-near", NOON + 3 * MINUTE) == []
    assert "; also a1, a2, a3, a4 and more, n 2" in watched.explain("spend-near")
    assert watched.judge("spend", NOON + 3 * MINUTE) == []
    assert watched.judge("spend-near", NOON + 24 * HOUR) == ["resolved"]


def test_the_gateway_s_accounts_are_those_that_are_watched(watched: Watched) -> None:
    budgets = BudgetsConfig.model_validate({"key": {"week": 1}, "user": {"month": 1}})
    watched.config = WatchedPrompt(PROMPT, PromptMonitoringConfig(), budgets)
    found = list_budgets(budgets, PROMPT, b"the-key", "1f2e3d", NOON)
    amount = count_billionths(0.9)
    held = watched.control.spending.reserve(found, amount, 60, NOON)
    watched.control.spending.settle(held, amount, NOON)
    assert watched.judge("spend-near", NOON) == ["raised"]
    reason = watched.explain("spend-near")
    assert reason.startswith("spend of the week of a key 0.9 times its budget")
    assert f"also month of a user; key {sha256(b'the-key').hexdigest()[:12]}: " in reason


def test_a_prompt_without_budget_says_so(watched: Watched) -> None:
    watched.config = WatchedPrompt(PROMPT, PromptMonitoringConfig(), BudgetsConfig())
    assert watched.judge("spend", NOON) == []
    assert "`budgets` has no limit" in watched.explain("spend")
