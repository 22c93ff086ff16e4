"""Detection of drift: each window of traffic is judged once, and each change of an alarm is told.

A window's order: its report, the events of its changes, its figures for monitoring, its states. A
run that is killed in between judges the window again: an event of the same identity is kept once,
and so are the figures.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.traffic.answers import find_oldest_hour
from sluice.config.service import ServiceConfig
from sluice.control.drift import DriftState
from sluice.control.lease import Lease
from sluice.data.retention import read_hour
from sluice.drift.live.report import DriftReport
from sluice.drift.live.requests import DriftRequest
from sluice.drift.live.schedule import DueWindows, find_newest, list_due
from sluice.drift.live.states import (
    advance_kinds,
    build_states,
    close_stale,
    describe_change,
    describe_stale,
)
from sluice.drift.live.trend import add_trend
from sluice.errors import ConfigInvalid, DataUnavailable, DriftFound, SluiceError
from sluice.home import find_home
from sluice.monitoring.drift import list_drift_signals
from tasks.drift.concept import judge_live
from tasks.drift.examination import Examined, Examiner, examine_request, open_request
from tasks.drift.files import FileRows, read_file
from tasks.drift.publishing import log_by_hand, log_report, pass_drift, publish_report
from tasks.drift.trend import add_window
from tasks.run.champions import find_serving
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.forms import ALL
from tasks.run.leases import await_lease, keep_lease, name_holder
from tasks.run.mapping import map_parts
from tasks.run.state import end_skipped

AS_CONFIGURED = "as-configured"
PURPOSE = "drift"


def make_request(window: str, reference: str, file: str) -> DriftRequest:
    """Return the request of a form, in which the reference has a word for none."""
    return DriftRequest(window, "" if reference == AS_CONFIGURED else reference, file)


@effect
def publish_request(
    config: ServiceConfig, request: DriftRequest, rows: FileRows | None
) -> DriftReport:
    """Examine what a person asked for, and publish it as `SERVICE-drift-by-hand`.

    `rows` are those of the file, where one was named.

    Raises:
        Refused: as `examine_request`.
        Fault: the registry or the traffic log cannot be reached.
    """
    examined = examine_request(config, request, rows=rows)
    link = log_by_hand(examined.report, examined.reference)
    publish_report(examined.report, link, "drift-by-hand")
    return examined.report


open_named_file = effect(open_request)


@contextmanager
def hold_drift(service: str) -> Iterator[Lease]:
    """Hold a service's lease of detection while the block runs; wait if another run has it.

    Raises:
        ServiceBusy: the other did not end in time.
        Fault: the control store cannot be reached.
    """
    lease = await_lease(service, PURPOSE, name_holder())
    with keep_lease(prepare_control(), lease, get_run_logger()):
        yield lease


def find_now() -> datetime:
    """Return the time by which windows are due."""
    return datetime.now(UTC)


@effect
def judge_due(config: ServiceConfig) -> DriftReport | None:
    """Judge the windows that are due, oldest first, and return the newest report.

    None: nothing serves yet, or no window is due.

    Raises:
        Refused: a version has no reference profile, or a damaged one.
        Fault: the control store, the registry or the traffic log cannot be reached.
    """
    if find_serving(config.service) is None:
        get_run_logger().info("%s: no version serves yet", config.service)
        return None
    now, control = find_now(), prepare_control()
    examiner = Examiner(config, now)
    _close_stale(control, config, examiner.name, now)
    due = _list_due(config, control, examiner.name, now)
    newest = None
    for window in due.windows:
        newest = _judge(control, examiner.examine_window(window), config)
    if due.left:
        get_run_logger().warning(
            "%s: %d windows are left for the next run (drift.catch_up: %d)",
            config.service,
            due.left,
            config.drift.catch_up,
        )
    return newest


def _close_stale(control: Control, config: ServiceConfig, reference: str, now: datetime) -> None:
    """Close the alarms of another reference, which the service had before."""
    window = find_newest(config.drift, now)
    for state in control.drift.list_newest(config.service):
        if state.is_open and state.reference != reference and state.end < window.end:
            closed = close_stale(state, reference, window)
            identity = _name_change(control, closed, "drift.resolved")
            publish_event(config.service, "drift.resolved", describe_stale(closed), identity)
            control.drift.record(closed)


def _name_change(control: Control, state: DriftState, event: str) -> UUID:
    """Return the identity of a change's event: the same change again has the same one."""
    parts = (state.service, state.kind, state.reference, state.end.isoformat(), event)
    return uuid5(NAMESPACE_URL, ":".join(("sluice", control.find_identity(), *parts)))


def _list_due(config: ServiceConfig, control: Control, reference: str, now: datetime) -> DueWindows:
    states = _read_states(control, config.service, reference)
    last = min((one.end for one in states.values()), default=None)
    hour = find_oldest_hour(find_home().answers(config.service))
    oldest = read_hour(hour) if hour else None
    return list_due(config.drift, last, oldest, now)


def _read_states(control: Control, service: str, reference: str) -> dict[str, DriftState]:
    found = control.drift.list_newest(service)
    return {one.kind: one for one in found if one.reference == reference}


def _judge(control: Control, examined: Examined, config: ServiceConfig) -> DriftReport:
    """Judge one window: its report, the events of its changes, then its states."""
    report, reference = examined.report, examined.reference
    if report.window is None:
        raise ValueError("only a window of traffic is judged")
    before = _read_states(control, report.service, report.reference)
    route = control.routes.find(report.service)
    serves = route.serves if route else lambda _: True
    kinds = advance_kinds(report.kinds, before, report.version, report.window, config.drift, serves)
    report = add_trend(replace(report, kinds=kinds))
    is_told = bool(report.rows) or any(one.change for one in kinds)
    link = log_report(report, reference) if is_told else ""
    if report.rows:
        add_window(reference.record.run_id, report)
    states = build_states(report, before, link, str(flow_run.id or ""))
    for kind, state in zip(kinds, states, strict=True):
        if kind.change:
            event = "drift.detected" if kind.change == "opened" else "drift.resolved"
            identity = _name_change(control, state, event)
            publish_event(report.service, event, describe_change(report, kind), identity)
    control.signals.record(list_drift_signals(report))
    for state in states:
        control.drift.record(state)
    if is_told:
        publish_report(report, link)
    return report


class DriftRun:
    """What a run found, service by service; one service does not stop the others."""

    def __init__(self, service: str, request: DriftRequest) -> None:
        if service == ALL and request.by_hand:
            raise ConfigInvalid(
                "service: found 'all', allowed with a window, a reference or a file: one service"
            )
        self._request = request
        self._said: list[str] = []
        self._found: list[DriftFound] = []
        self._problems: list[SluiceError] = []

    @contextmanager
    def isolate_errors(self, service: str) -> Iterator[None]:
        """Keep a finding or an error of one service from the others; it is raised at the end."""
        try:
            yield
        except DriftFound as found:
            self._found.append(found)
        except SluiceError as error:
            get_run_logger().error("%s: %s: %s", service, type(error).__name__, error)
            self._problems.append(error)

    def detect(self, config: ServiceConfig) -> None:
        """Judge what is due or was asked for, and pass its gate.

        Raises:
            DriftFound: an alarm is open, or the live performance dropped.
            Refused: a version has no profile, or a damaged one.
            Fault: the control store, the registry or the traffic log cannot be reached.
        """
        drops: tuple[str, ...] = ()
        if self._request.by_hand:
            rows = None
            if self._request.file:
                rows = read_file(open_named_file(config, self._request), map_parts)
            report: DriftReport | None = publish_request(config, self._request, rows)
        else:
            with hold_drift(config.service):
                drops = judge_live(config, find_now())
                report = judge_due(config)
        pass_drift(config.service, report, drops)
        if report is not None:
            self._said.append(f"{config.service}: {report.outcome}")

    def end(self) -> State[None]:
        """Return the run's final state: Completed, or Skipped where nothing was due.

        Raises:
            DriftFound: an alarm of a service is open.
            DataUnavailable: several services could not be judged.
            SluiceError: what kept the only one from being judged.
        """
        if self._found:
            others = [f"{type(one).__name__}: {one}" for one in self._problems]
            raise DriftFound("; ".join([*map(str, self._found), *others]))
        if len(self._problems) == 1:
            raise self._problems[0]
        if self._problems:
            raise DataUnavailable("; ".join(map(str, self._problems)))
        if not self._said:
            return end_skipped("no window is due")
        return Completed(message="; ".join(self._said))
