"""Measured performance: windows of labelled traffic are judged once, and a change is an event.

Any number of monitors may run at once, and none for days: the control store has each window once,
and the next one begins where it ended.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sluice.adapters.control.monitoring.performance import JudgedWindow
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.traffic.labelled import (
    LabelledChunk,
    LabelPosition,
    find_source,
    read_labelled,
)
from sluice.config.service import ServiceConfig
from sluice.documents import DocumentInvalid, parse_json
from sluice.drift.document import FILE
from sluice.drift.performance.labelled import (
    AnswerForm,
    LabelledRows,
    SkippedAnswers,
    decode_answers,
)
from sluice.drift.performance.reference import PerformanceReference, read_reference
from sluice.drift.performance.windows import (
    PerformanceState,
    WindowVerdict,
    describe_event,
    judge_window,
    read_verdict,
)
from sluice.errors import DataInvalid
from sluice.home import find_home
from sluice.monitoring.performance import list_performance_signals
from tasks.run.champions import find_champion
from tasks.run.events import publish_event


@dataclass(frozen=True)
class PerformanceReport:
    """What a look at a version's labelled traffic found.

    `verdicts` are the windows that were judged now. `waiting` labelled answers are in no window
    yet; `overtaken` ones are in none, because their labels came into the log after the last window,
    where their place is, was judged. `unknown` counts labels that name the service and belong to no
    answer in the log, `unnamed` those that name no service and belong to none of this service's.
    `note` says why nothing could be judged.
    """

    service: str
    version: int | None
    verdicts: tuple[WindowVerdict, ...] = ()
    state: PerformanceState = field(default_factory=PerformanceState)
    waiting: int = 0
    needed: int = 0
    overtaken: int = 0
    skipped: SkippedAnswers = field(default_factory=SkippedAnswers)
    unknown: int = 0
    unnamed: int = 0
    named: tuple[str, ...] = ()
    """The first request ids of labels for unknown answers."""
    note: str = ""


@dataclass(frozen=True)
class WatchedVersion:
    """A version whose live performance is judged; its reference is None where it has none."""

    record: ModelVersionRef
    reference: PerformanceReference | None


def find_watched(service: str) -> WatchedVersion | None:
    """Return the version that serves with its reference; None where the registry has none.

    Raises:
        DataInvalid: the version's reference profile is damaged or of another format.
        Fault: the control store or the registry cannot be reached.
    """
    record = find_champion(service).record
    return WatchedVersion(record, load_reference(record)) if record else None


def judge_performance(
    config: ServiceConfig, now: datetime, watched: WatchedVersion | None = None
) -> PerformanceReport:
    """Judge each whole window of labelled answers that nobody has judged yet, and emit changes.

    `watched` is the version that serves by default. Events that an earlier monitor did not emit,
    because it was killed, are emitted now.

    Raises:
        DataInvalid: the version's reference profile is damaged or of another format.
        Fault: the control store, the registry or the traffic log cannot be reached.
    """
    watched = watched or find_watched(config.service)
    if watched is None:
        return PerformanceReport(config.service, None, note="no version serves yet")
    control, record, reference = prepare_control(), watched.record, watched.reference
    if reference is None:
        note = (
            f"v{record.version} has no reference of its performance: it was released before there "
            "were any; next: build its reference profile, or release again"
        )
        report = PerformanceReport(config.service, record.version, note=note)
    else:
        report = _judge_windows(control, config, reference, record, now)
    emit_changes(control, config.service, now)
    return report


def load_reference(record: ModelVersionRef) -> PerformanceReference | None:
    """Return the performance section of a version's reference profile; None where it has none.

    Raises:
        DataInvalid: it is damaged or of another format.
        Fault: the registry cannot be reached.
    """
    text = open_registry(find_home()).find_text(record.run_id, FILE)
    if text is None:
        return None
    name = f"{FILE} of {record.service} v{record.version}"
    try:
        return read_reference(parse_json(text), name)
    except DocumentInvalid as error:
        raise DataInvalid(f"{name}: {error}; next: release again") from error


def _judge_windows(
    control: Control,
    config: ServiceConfig,
    reference: PerformanceReference,
    record: ModelVersionRef,
    now: datetime,
) -> PerformanceReport:
    """Judge window after window; begin again after the last one where another monitor was first."""
    verdicts: list[WindowVerdict] = []
    form = reference.form(config)
    overtaken = _count_overtaken(control, config, form, record.version)
    while True:
        last = control.performance.find_last(config.service, record.version)
        until = now - timedelta(seconds=config.performance.settle_seconds)
        reader = _WindowReader(config, form, record.version, _find_place(last), until)
        is_overtaken = False
        for rows in reader.read_windows():
            verdict = judge_window(config, reference, rows, record.version)
            # Recorded first: a window that is judged is never judged again.
            control.signals.record(
                list_performance_signals(config.service, [verdict], config.performance.alpha)
            )
            judged = _follow(config, last, verdict, rows.request_ids[-1], now)
            if not control.performance.add(judged):
                is_overtaken = True
                break
            last = judged
            verdicts.append(verdict)
        if is_overtaken:
            continue
        return PerformanceReport(
            config.service,
            record.version,
            tuple(verdicts),
            read_state(last),
            waiting=reader.waiting,
            needed=config.performance.window,
            overtaken=overtaken,
            skipped=reader.skipped,
            unknown=reader.unknown,
            unnamed=reader.unnamed,
            named=reader.named,
        )


def _find_place(last: JudgedWindow | None) -> LabelPosition:
    return LabelPosition(last.last_at, last.last_request) if last else LabelPosition()


def _count_overtaken(
    control: Control, config: ServiceConfig, form: AnswerForm, version: int
) -> int:
    """Return how many answers have their place in the last judged window, and are not in it."""
    judged = control.performance.list_last(config.service, version, 2)
    if not judged:
        return 0
    last, before = judged[0], judged[1] if len(judged) > 1 else None
    maturity = find_source(config, find_home()).maturity
    reader = _WindowReader(config, form, version, _find_place(before), last.last_at + maturity)
    end = _find_place(last)
    places = (LabelPosition(row["labelled_at"], row["request_id"]) for row in reader.read_answers())
    return max(0, sum(place <= end for place in places) - read_verdict(last.verdict).n)


def read_state(last: JudgedWindow | None) -> PerformanceState:
    """Return the state after a version's last judged window."""
    return PerformanceState(last.number, last.dropped, last.clean) if last else PerformanceState()


def _follow(
    config: ServiceConfig,
    last: JudgedWindow | None,
    verdict: WindowVerdict,
    request_id: str,
    now: datetime,
) -> JudgedWindow:
    state, event = read_state(last).follow(config.performance, verdict.alarm)
    return JudgedWindow(
        config.service,
        verdict.version,
        state.windows,
        verdict.last,
        request_id,
        state.dropped,
        state.clean,
        event,
        describe_event(verdict, state.windows) if event else {},
        verdict.to_document(),
        now,
    )


class _WindowReader:
    """Reads the windows after a place; its counts are whole after that."""

    def __init__(
        self,
        config: ServiceConfig,
        form: AnswerForm,
        version: int,
        after: LabelPosition,
        until: datetime,
    ) -> None:
        self._form, self._version = form, version
        self._size = config.performance.window
        self._after, self._until = after, until
        self._source = find_source(config, find_home())
        self.skipped = SkippedAnswers()
        self.unknown = self.unnamed = self.waiting = 0
        self.named: tuple[str, ...] = ()

    def read_windows(self) -> Iterator[LabelledRows]:
        """Yield the rows of each whole window, oldest first."""
        answers = self.read_answers()
        while True:
            rows = list(islice(answers, self._size))
            if len(rows) < self._size:
                self.waiting = len(rows)
                return
            yield decode_answers(self._form, rows)[0]

    def read_answers(self) -> Iterator[Mapping[str, Any]]:
        """Yield the answers of the version that can be measured, one by one."""
        for chunk in read_labelled(self._source, self._after, self._until):
            self._count_unknown(chunk)
            answers = [row for row in chunk.table.to_pylist() if row["version"] == self._version]
            rows, skipped = decode_answers(self._form, answers)
            self.skipped = self.skipped.merge(skipped)
            measured = set(rows.request_ids)
            yield from (row for row in answers if row["request_id"] in measured)

    def _count_unknown(self, chunk: LabelledChunk) -> None:
        self.unknown += len(chunk.unknown)
        self.unnamed += len(chunk.unnamed)
        self.named = (*self.named, *chunk.unknown)[:3]


def emit_changes(control: Control, service: str, now: datetime) -> list[str]:
    """Emit the changes that no monitor has emitted yet; return their names.

    Raises:
        Fault: the control store cannot be reached.
    """
    emitted = []
    for window in control.performance.claim_events(service, now):
        identity = f"sluice:{control.find_identity()}:{service}:{window.version}:{window.kind}"
        name = uuid5(NAMESPACE_URL, f"{identity}:{window.number}")
        publish_event(service, window.event, window.payload, name)
        control.performance.settle_event(window, now)
        emitted.append(window.event)
    return emitted


def read_recent(
    config: ServiceConfig,
    reference: PerformanceReference,
    version: int,
    start: datetime,
    end: datetime,
    most: int = 20_000,
) -> tuple[LabelledRows, SkippedAnswers]:
    """Return the newest labelled answers of a version whose labels came in a span of time.

    At most `most` of them, in the order of their labels; for figures by slice and by group.

    Raises:
        Fault: the traffic log cannot be reached.
    """
    form, skipped = reference.form(config), SkippedAnswers()
    newest: list[Mapping[str, Any]] = []
    for chunk in read_labelled(find_source(config, find_home()), LabelPosition(start), end):
        found = [row for row in chunk.table.to_pylist() if row["version"] == version]
        rows, lost = decode_answers(form, found)
        skipped, kept = skipped.merge(lost), set(rows.request_ids)
        newest = [*newest, *(row for row in found if row["request_id"] in kept)][-most:]
    return decode_answers(form, newest)[0], skipped
