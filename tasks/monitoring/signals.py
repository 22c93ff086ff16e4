"""The signals that the monitor measures itself, from the traffic log and the gateways."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import isfinite
from typing import Protocol

from sluice.adapters.control.store import Control
from sluice.adapters.traffic.live import count_answers, read_history, read_inputs
from sluice.adapters.validation.live_inputs import find_refused_inputs
from sluice.config.monitoring.rules import MonitoringConfig
from sluice.config.service import ServiceConfig
from sluice.control.route import Route
from sluice.home import Home
from sluice.monitoring.alerts import AHEAD
from sluice.monitoring.rules import ActiveRule
from sluice.monitoring.signals import Signal
from sluice.monitoring.traffic import STEP, TrafficView, list_steps
from sluice.rollout.collection import Reply, explain_other

LAG = "log_lag_seconds"
"""Key of a gateway's counters with the age of its oldest record that the log lacks."""
SETTLE_SECONDS = 30.0
"""Age from which a minute of the log is judged: what came in it has been spooled by then."""
MOST_INPUTS = 5000
"""Most answers a run whose inputs are judged by the data rules: the newest ones."""
MONITORED = "monitored"
"""Subject of the watermark of the last run of the monitor."""


@dataclass(frozen=True)
class LogState:
    """How far the traffic log is complete, as the gateways say.

    `lag` is None where no gateway says it: then `problem` has the reason.
    """

    lag: float | None
    problem: str
    complete: datetime
    """Everything before it is in the log."""


def read_log_state(
    replies: Mapping[str, Reply], now: datetime, flush_seconds: float = 0.0, identity: str = ""
) -> LogState:
    """Return how far the log is complete; `flush_seconds` is how long the log-writer may wait.

    A gateway of another control store than that of `identity` says nothing about this log.

    Of a replica that does not answer, the log counts as complete but for what may wait: its
    log-writer can go on where only the way to the replica is closed.
    """
    lags, problems = [], []
    for name, given in replies.items():
        reply = explain_other(given, identity) or given
        lag = None if isinstance(reply, str) else reply.get(LAG)
        if isinstance(lag, int | float) and isfinite(lag) and lag >= 0:
            lags.append(float(lag))
        else:
            reason = reply if isinstance(reply, str) else "does not say how far its log is"
            problems.append(f"{name}: {reason}")
    waits = flush_seconds if problems or not lags else 0.0
    settled = now - timedelta(seconds=SETTLE_SECONDS + waits)
    if not lags:
        return LogState(None, "; ".join(problems) or "no gateway is configured", settled)
    lag = max(lags)
    return LogState(lag, "; ".join(problems), min(settled, now - timedelta(seconds=lag)))


class Monitored(Protocol):
    """What is monitored: the configuration of a model's service, or the settings of a prompt."""

    @property
    def service(self) -> str:
        """Its name."""

    @property
    def monitoring(self) -> MonitoringConfig:
        """Its figures, and its changes of rules."""


class MeasuredTraffic(Protocol):
    """A source of traffic signals."""

    def measure(self, active: ActiveRule, at: datetime) -> Signal:
        """Return the signal of a rule over its window, which ends at `at`."""


@dataclass
class Measurer:
    """Measures the signals of one service at one run of the monitor; of one of models here."""

    home: Home
    control: Control
    config: Monitored
    log: LogState
    now: datetime
    _views: dict[datetime, TrafficView] = field(default_factory=dict)

    @cached_property
    def route(self) -> Route | None:
        """The service's route at this run; None where it has none yet.

        Raises:
            ControlUnavailable: the control store does not answer.
        """
        return self.control.routes.find(self.config.service)

    def concerns(self, version: int) -> bool:
        """Whether a figure about a version, 0 for all, is about what serves now."""
        return version == 0 or self.route is None or self.route.serves(version)

    def list_moments(self, judged: datetime | None) -> list[datetime]:
        """Return the whole minutes that a rule on traffic has still to judge."""
        return list(list_steps(judged, self.log.complete))

    def view_traffic(self, since: datetime, signal: str = "") -> MeasuredTraffic:
        """Return the traffic from `since` to where the log is complete; read once a start.

        `signal` is the one that is to be measured of it.

        Raises:
            DataUnavailable: a table cannot be reached.
        """
        known = [start for start in self._views if start <= since]
        if known:
            return self._views[max(known)]
        service = self.config.service
        history = read_history(self.home, service, since, self.log.complete)
        view = TrafficView(service, history, self.config.monitoring.capacity)
        self._views[since] = view
        return view

    def measure_now(self, active: ActiveRule, judged: datetime | None) -> list[Signal]:
        """Return the signals that exist only for this moment; none where nothing is new.

        Raises:
            DataUnavailable: a table cannot be reached.
            ControlUnavailable: the control store does not answer.
            ConfigInvalid: the service's suite cannot be read.
        """
        if active.rule.signal == "refused-rows":
            found = self._measure_refused(active, judged)
            return [found] if found else []
        if active.rule.signal == "log-lag":
            return [self._sign("log-lag", self.log.lag, self.log.problem)]
        return [measure_monitor_age(self.control, self.config.service, self.now)]

    def _sign(self, name: str, value: float | None, reason: str) -> Signal:
        return Signal(self.config.service, name, self.now, self.now, value, reason=reason)

    def _measure_refused(self, active: ActiveRule, judged: datetime | None) -> Signal | None:
        if not isinstance(self.config, ServiceConfig):
            return None
        service = self.config.service
        whole = self.log.complete.timestamp() // STEP * STEP
        end = datetime.fromtimestamp(whole, UTC)
        start = judged or end - timedelta(seconds=active.rule.window)
        if end <= start:
            return None
        inputs = read_inputs(self.home, service, start, end, MOST_INPUTS)
        if not inputs:
            reason = "no request in the window"
            return Signal(service, "refused-rows", start, end, None, reason=reason)
        found = find_refused_inputs(self.config, inputs)
        notes = [found.describe()]
        if len(inputs) == MOST_INPUTS:
            answers = count_answers(self.home, service, start, end)
            if answers > MOST_INPUTS:
                notes.append(f"judged the newest {MOST_INPUTS:,} of {answers:,} requests")
        if found.skipped:
            notes.append(f"not judged on logged inputs: {', '.join(found.skipped)}")
        reason = "; ".join(filter(None, notes))
        value = float(found.refused)
        return Signal(service, "refused-rows", start, end, value, found.rows, reason=reason)


def measure_monitor_age(control: Control, service: str, now: datetime) -> Signal:
    """Return how long ago the monitor last ended a run for a service.

    A service that no monitor has looked at counts from the first time that this was asked; so does
    one that was looked at while a clock was ahead.

    Raises:
        ControlUnavailable: the control store does not answer.
    """
    seen = control.watermarks.find(service, MONITORED)
    last = now if seen.is_new else datetime.fromisoformat(seen.mark)
    if seen.is_new or last > now + AHEAD:
        control.watermarks.move(seen, seen.settle(now.isoformat()))
    return Signal(service, "monitor-age", last, now, max((now - last).total_seconds(), 0.0))
