"""The signals that the monitor measures of a prompt: its calls, and what they cost."""

from dataclasses import dataclass, field
from datetime import datetime

from sluice.adapters.evaluations import find_expected_tokens
from sluice.adapters.traffic.calls import read_calls
from sluice.config.llm.monitoring import WatchedPrompt
from sluice.control.spending import Account, BudgetPeriod, count_billionths, name_period
from sluice.monitoring.prompts import PROMPT_SIGNALS, CallView
from sluice.monitoring.rules import ActiveRule
from sluice.monitoring.signals import Signal
from tasks.monitoring.signals import MeasuredTraffic, Measurer

NO_BUDGET = "`budgets.service` has no limit in configs/llm/serving.yaml"


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
            return self._measure_spend()
        return super().measure_now(active, judged)

    def _measure_spend(self) -> list[Signal]:
        config, service = self.config, self.config.service
        limits = config.budgets.service.list_limits() if isinstance(config, WatchedPrompt) else []
        if not limits:
            return [self._sign("spend-ratio", None, NO_BUDGET)]
        return [self._measure_period(service, period, limit) for period, limit in limits]

    def _measure_period(self, service: str, period: BudgetPeriod, limit: float) -> Signal:
        account = Account("service", service, name_period(period, self.now))
        found, most = self.control.spending.find(account), count_billionths(limit)
        value = found.spent / most if most else float(found.spent > 0)
        words = found.describe(most)
        return Signal(
            service,
            "spend-ratio",
            self.now,
            self.now,
            value,
            found.calls,
            subject=period,
            reason=words,
            baseline=limit,
        )
