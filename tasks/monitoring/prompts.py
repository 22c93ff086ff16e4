"""The signals that the monitor measures of a prompt: its calls, and what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluice.adapters.evaluations import find_expected_tokens
from sluice.adapters.traffic.calls import read_calls
from sluice.config.llm.monitoring import WatchedPrompt
from sluice.config.llm.serving import BudgetsConfig
from sluice.control.spending import (
    Account,
    BudgetPeriod,
    BudgetScope,
    Spent,
    count_billionths,
    name_period,
)
from sluice.monitoring.prompts import PROMPT_SIGNALS, CallView
from sluice.monitoring.rules import ActiveRule
from sluice.monitoring.signals import Signal
from tasks.monitoring.signals import MeasuredTraffic, Measurer

NO_BUDGET = "`budgets` has no limit in configs/llm/serving.yaml"
SCOPES: tuple[BudgetScope, ...] = ("service", "key", "user")
NAMED = 5
"""Most keys or users that an alert names."""


@dataclass
class PromptMeasurer(Measurer):
    """Measures one prompt's signals at one run of the monitor."""

    _calls: dict[datetime, CallView] = field(default_factory=dict)

    def view_traffic(self, since: datetime, signal: str = "") -> MeasuredTraffic:
        """Return the traffic from `since` to where the log is complete; read once a start.

        Raises:
            DataUnavailable: a table cannot be reached.
        """
        if signal not in PROMPT_SIGNALS:
            return super().view_traffic(since, signal)
        known = [start for start in self._calls if start <= since]
        if known:
            return self._calls[max(known)]
        service = self.config.service
        history = read_calls(self.home, service, since, self.log.complete)
        found = {key for counts in history.minutes.values() for key in counts.tokens}
        expected = {
            version: tokens
            for version in found
            if (tokens := find_expected_tokens(self.home, service, version)) is not None
        }
        view = self._calls[since] = CallView(service, history, expected)
        return view

    def measure_now(self, active: ActiveRule, judged: datetime | None) -> list[Signal]:
        """Return the signals that exist only for this moment: the spend of each budget, too.

        Raises:
            ControlUnavailable: the control store does not answer.
        """
        if active.rule.signal == "spend-ratio":
            return self._measure_spend(active)
        return super().measure_now(active, judged)

    def _measure_spend(self, active: ActiveRule) -> list[Signal]:
        budgets = self.config.budgets if isinstance(self.config, WatchedPrompt) else BudgetsConfig()
        found = [
            self._measure_accounts(active, scope, period, limit)
            for scope in SCOPES
            for period, limit in getattr(budgets, scope).list_limits()
        ]
        return found or [self._sign("spend-ratio", None, NO_BUDGET)]

    def _measure_accounts(
        self, active: ActiveRule, scope: BudgetScope, period: BudgetPeriod, limit: float
    ) -> Signal:
        """Return the share of a budget that the account with the highest spend has used.

        One signal stands for all keys, and one for all users: there may be very many of them.
        """
        service, name = self.config.service, name_period(period, self.now)
        spending, most = self.control.spending, count_billionths(limit)
        if scope == "service":
            account = Account(scope, service, name)
            accounts = {account: spending.find(account)}
        else:
            accounts = spending.list_highest(scope, service, name, NAMED + 1)
        shares = {account: _divide(spent.spent, most) for account, spent in accounts.items()}
        highest = next(iter(accounts), None)
        return Signal(
            service,
            "spend-ratio",
            self.now,
            self.now,
            shares[highest] if highest else 0.0,
            accounts[highest].calls if highest else 0,
            subject=period if scope == "service" else f"{period} of a {scope}",
            reason=_describe_spend(active, accounts, shares, most),
            baseline=limit,
        )


def _describe_spend(
    active: ActiveRule,
    accounts: Mapping[Account, Spent],
    shares: Mapping[Account, float],
    most: int,
) -> str:
    """Return the highest spend in words, and which other keys or users are beyond the limit."""
    if not accounts:
        return "nothing is spent"
    highest, *others = accounts
    words = accounts[highest].describe(most)
    if highest.scope == "service":
        return words
    beyond = [item.subject.split()[0] for item in others if active.is_beyond(shares[item])]
    words = f"{highest.scope} {highest.subject.split()[0]}: {words}"
    named = beyond[: NAMED - 1]
    if not named:
        return words
    return f"{words}; also {', '.join(named)}{' and more' if len(beyond) > len(named) else ''}"


def _divide(spent: int, most: int) -> float:
    """Return the share of a budget that is spent; of a budget of 0, 1 where anything is."""
    return spent / most if most else float(spent > 0)
