"""One run of the monitor: every rule is judged, changes are told, pages published."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.gateway import find_replicas
from sluice.config.llm.monitoring import find_prompt_rules, load_watched
from sluice.config.loading import find_rules, load_gateway, load_service
from sluice.errors import DataUnavailable, SluiceError
from sluice.home import environment_name, find_home
from sluice.monitoring.alerts import AlertChange, AlertPhase, Silence
from sluice.monitoring.page import describe_alerts, describe_change, write_page
from sluice.monitoring.rules import ActiveRule
from tasks.monitoring.judging import (
    MONITOR_RULE,
    close_others,
    follow_rule,
    judge_monitor,
    mark_monitored,
)
from tasks.monitoring.prompts import PromptMeasurer
from tasks.monitoring.signals import Measurer, read_log_state
from tasks.run.artifacts import create_page, publish
from tasks.run.events import publish_event
from tasks.run.state import end_skipped

PAGE = "monitoring page"
"""Subject of the watermark of when a service's page was published last."""
PAGE_SECONDS = 3600.0
KEPT_DAYS = 31
"""Days that recorded signals are kept."""


class Monitor:
    """One run's work, service by service; errors of one service do not stop it."""

    def __init__(self, now: datetime | None = None) -> None:
        self._home, self._control = find_home(), prepare_control()
        self._now = now or datetime.now(UTC)
        config = load_gateway(environment_name())
        replies = find_replicas(self._home, config).read_counters()
        flush_seconds, identity = config.traffic_log.flush_seconds, self._control.find_identity()
        self._log = read_log_state(replies, self._now, flush_seconds, identity)
        self.changes: list[AlertChange] = []
        self.firing: list[str] = []
        """Alerts that fire after the run."""
        self.problems: list[str] = []
        """What could not be judged because of an error, each with its reason."""

    @contextmanager
    def collect_errors(self, place: str) -> Iterator[None]:
        """Collect an error, to raise it after the last service.

        One rule that cannot be judged, whatever the reason, keeps no other alert from being raised.
        """
        try:
            yield
        except SluiceError as error:
            self.problems.append(f"{place}: {type(error).__name__}: {error}")
        except Exception as error:  # a fault of ours; its text may repeat a caller's data
            get_run_logger().exception("%s could not be judged", place)
            self.problems.append(f"{place}: {type(error).__name__}, see the log of this run")

    def watch(self, service: str) -> None:
        """Judge all rules of a service that has a champion, and tell what changed.

        Raises:
            ConfigInvalid: the rules or the service's configuration are wrong.
            Fault: the control store or a table cannot be reached.
        """
        if self._control.routes.find(service) is None:
            return
        config = load_service(service, environment_name())
        measurer = Measurer(self._home, self._control, config, self._log, self._now)
        self._judge(service, find_rules(config), measurer)

    def watch_prompt(self, prompt: str) -> None:
        """Judge all rules of a prompt that serves, and tell what changed.

        Raises:
            ConfigInvalid: the rules or the prompts' settings are wrong.
            Fault: the control store or a table cannot be reached.
        """
        config = load_watched(prompt)
        measurer = PromptMeasurer(self._home, self._control, config, self._log, self._now)
        self._judge(prompt, find_prompt_rules(config), measurer)

    def list_prompts(self) -> list[str]:
        """Return the prompts that serve.

        Raises:
            ControlUnavailable: the control store does not answer.
        """
        return list_serving_prompts(self._control)

    @property
    def complete(self) -> datetime:
        """When everything before is in the traffic log."""
        return self._log.complete

    def _judge(self, service: str, rules: dict[str, ActiveRule], measurer: Measurer) -> None:
        silences = self._control.alerts.list_silences(service)
        if MONITOR_RULE in rules:  # before its mark moves: nobody else may have seen the gap
            self.changes += judge_monitor(self._control, service, rules[MONITOR_RULE], self._now)
        mark_monitored(self._control, service, self._now)
        # The longest window first: the others are parts of what is read for it.
        for name, active in sorted(rules.items(), key=lambda item: -item[1].rule.window):
            if name == MONITOR_RULE:
                continue
            with self.collect_errors(f"{service}: {name}"):
                given = [item for item in silences if item.rule == name]
                self.changes += follow_rule(self._control, measurer, active, given)
        self.changes += close_others(self._control, service, rules, self._now)
        tell_changes(self._control, service, rules)
        self._publish(service, rules, silences)
        self._control.signals.prune(self._now - timedelta(days=KEPT_DAYS))

    def end(self) -> State[Any]:
        """Return the flow run's final state; alerts that fire are its message.

        Raises:
            DataUnavailable: something could not be judged; all else was.
        """
        words = self.describe()
        if words:
            get_run_logger().info("%s", words)
        if self.problems:
            raise DataUnavailable("; ".join(self.problems))
        return Completed(message=words) if words else end_skipped("no alert")

    def describe(self) -> str:
        """Return what changed and what fires; empty where nothing did."""
        words = [f"{item.service}: {item.rule} {item.kind.value}" for item in self.changes]
        return "; ".join([*words, *(f"fires: {name}" for name in self.firing)])

    def _publish(
        self, service: str, rules: Mapping[str, ActiveRule], silences: Sequence[Silence]
    ) -> None:
        """Publish the service's page where an alert changed, and else once an hour."""
        alerts = self._control.alerts.list_alerts(service)
        firing = [item.rule for item in alerts if item.phase is AlertPhase.FIRING]
        self.firing += [f"{service}: {name}" for name in firing]
        seen = self._control.watermarks.find(service, PAGE)
        changed = any(item.service == service for item in self.changes)
        last = datetime.fromisoformat(seen.mark) if seen.mark else None
        if not changed and last and abs((self._now - last).total_seconds()) < PAGE_SECONDS:
            return
        rows = describe_alerts(rules, alerts, silences, self._now)
        page = write_page(service, rules, rows, self._control.alerts.list_changes(service, 20))
        words = f"fires: {', '.join(firing)}" if firing else "no alert fires"
        publish(create_page, f"{service}-monitoring", markdown=page, description=words)
        self._control.watermarks.move(seen, seen.settle(self._now.isoformat()))


def list_serving_prompts(control: Control) -> list[str]:
    """Return the prompts that have a route.

    Raises:
        ControlUnavailable: the control store does not answer.
    """
    return sorted(route.service for route in control.routes.list_routes("prompt"))


def watch_monitor(service: str, now: datetime | None = None) -> list[AlertChange]:
    """Judge whether the monitor runs, and tell what changed; for the keeper.

    Raises:
        ConfigInvalid: the rules or the service's configuration are wrong.
        Fault: the control store cannot be reached.
    """
    control = prepare_control()
    if control.routes.find(service) is None:
        return []
    return _watch_monitor(
        control, service, find_rules(load_service(service, environment_name())), now
    )


def watch_monitor_of_prompts(now: datetime | None = None) -> list[AlertChange]:
    """Judge for each prompt that serves whether the monitor runs; for the keeper.

    Raises:
        ConfigInvalid: the rules or the prompts' settings are wrong.
        Fault: the control store cannot be reached.
    """
    control, changes = prepare_control(), list[AlertChange]()
    for name in list_serving_prompts(control):
        changes += _watch_monitor(control, name, find_prompt_rules(load_watched(name)), now)
    return changes


def _watch_monitor(
    control: Control, service: str, rules: dict[str, ActiveRule], now: datetime | None
) -> list[AlertChange]:
    active = rules.get(MONITOR_RULE)
    if active is None:
        return []
    changes = judge_monitor(control, service, active, now or datetime.now(UTC))
    tell_changes(control, service, rules)
    return changes


def tell_changes(control: Control, service: str, rules: Mapping[str, ActiveRule]) -> None:
    """Emit the event of each change that was not told; the same change has the same id.

    Raises:
        ControlUnavailable: the control store does not answer.
    """
    store = control.find_identity()
    for change in control.alerts.list_untold(service):
        payload = describe_change(change, rules.get(change.rule))
        identity = uuid5(NAMESPACE_URL, f"sluice:{store}:alert-change:{change.sequence}")
        publish_event(service, f"alert.{change.kind.value}", payload, identity)
        control.alerts.mark_told(change)
