"""Rules, judgements and signals for tests of monitoring."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.config.monitoring.rules import MonitoringConfig, MonitoringRule, RuleBook
from sluice.monitoring.rules import ActiveRule, Judgement, RuleOutcome, list_active
from sluice.monitoring.signals import Signal

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SERVICE = "employment"


def make_rule(name: str = "failed-predictions", **keys: Any) -> ActiveRule:
    """A rule on failures above 1 %, unless the keys are others."""
    values: dict[str, Any] = {
        "title": "Predictions fail",
        "definition": "failures are above 1 % of all requests",
        "signal": "failure-share",
        "runbook": {
            "means": "predictions fail",
            "look": "the access log",
            "do": "roll back the version",
        },
        **keys,
    }
    if not {"above", "below"} & set(values):
        values["above"] = 0.01
    book = RuleBook(rules={name: MonitoringRule.model_validate(values)})
    return list_active(book, MonitoringConfig())[name]


def judge(at: datetime, outcome: RuleOutcome = RuleOutcome.BROKEN) -> Judgement:
    return Judgement(outcome, at, f"it is {outcome.value}", value=0.02, limit=0.01, n=400)


def make_signal(
    name: str = "failure-share", value: float | None = 0.0, at: datetime = NOON, **keys: Any
) -> Signal:
    values: dict[str, Any] = {"n": 1000, "start": at - 5 * MINUTE, "end": at, **keys}
    return Signal(SERVICE, name, value=value, **values)


def count_kinds(changes: Sequence[Any], kind: str) -> int:
    return sum(change.kind == kind for change in changes)
