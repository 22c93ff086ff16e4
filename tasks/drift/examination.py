"""One window of traffic, or one file, beside its reference: everything that its report says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.adapters.tables.columns import Span
from sluice.adapters.traffic.answers import count_versions
from sluice.config.service import ServiceConfig
from sluice.drift.counts import WindowCounts
from sluice.drift.findings import DriftJudgement, Kind
from sluice.drift.joint import NOTHING_SHARED, JointDrift, compare_rows
from sluice.drift.live.answers import CountedAnswers
from sluice.drift.live.building import build_report
from sluice.drift.live.report import DriftReport, KindReport
from sluice.drift.live.requests import DriftRequest, read_window
from sluice.drift.live.schedule import Window, list_earlier, name_reference
from sluice.drift.live.trend import add_trend
from sluice.drift.rule import judge_drift, judge_slices
from sluice.errors import ConfigInvalid
from sluice.home import find_home
from tasks.drift.files import FileJob, FileRows, plan_file, read_here
from tasks.drift.performance_view import view_performance
from tasks.drift.profiles import SERVING
from tasks.drift.references import Reference, load_reference, sample_training
from tasks.drift.trend import read_trend
from tasks.drift.windows import LiveRows

if TYPE_CHECKING:
    import pyarrow as pa

NO_ROWS = "the window has no answers of this version"
NO_FEATURES = "the file has no feature of the profile, or each in several types"


@dataclass(frozen=True)
class Examined:
    """A report, and the version that it is about."""

    report: DriftReport
    reference: Reference


class Examiner:
    """Examines windows of a service; what several windows need is read once.

    `reference` is the name of a kind of reference, by default that of the configuration.
    """

    def __init__(self, config: ServiceConfig, now: datetime, reference: str = "") -> None:
        self.config, self._now = config, now
        self.reference = reference or config.drift.reference
        self.name = name_reference(config.drift, self.reference)
        self._references: dict[int, Reference] = {}
        self._samples: dict[int, pa.Table] = {}

    def find_reference(self, version: int = SERVING) -> Reference:
        """Return a version with its profile, by default the one that serves.

        Raises:
            Refused: there is none, or its profile is missing, damaged or another version's.
            Fault: the registry cannot be reached.
        """
        if version not in self._references:
            found = load_reference(self.config, version)
            self._references[version] = self._references[found.version] = found
        return self._references[version]

    def choose_version(self, window: Window) -> int:
        """Return the version that gave most answers of a window; the champion without any.

        Raises:
            DataUnavailable: the traffic log cannot be reached.
        """
        found = count_versions(find_home().answers(self.config.service), window.start, window.end)
        return max(found, key=lambda version: (found[version], version), default=SERVING)

    def examine_window(self, window: Window, version: int = SERVING) -> Examined:
        """Compare the answers of a window with the reference.

        Raises:
            Refused: the version has no profile, or a damaged one.
            Fault: the registry or the traffic log cannot be reached.
        """
        chosen = self.choose_version(window) if version == SERVING else version
        reference = self.find_reference(chosen)
        rows = LiveRows(self.config, reference, self._now)
        found = rows.count(window)
        earlier = list_earlier(self.config.drift, self.reference, window)
        before = rows.merge(earlier) if earlier else reference.profile.reference
        joint, unlike = self._compare_traffic(reference, rows, window, earlier)
        report = build_report(
            self._describe(reference, window),
            reference.profile,
            (before, found.counts),
            self._judge(reference, before, found.counts),
            joint,
        )
        return Examined(
            replace(
                report,
                slices=judge_slices(reference.profile, found.counts, before),
                unlike=unlike,
                performance=view_performance(self.config, reference.record, window),
                notes=(*reference.notes, *_list_notes(found)),
            ),
            reference,
        )

    def open_file(self, path: Path, window: Window | None, version: int = SERVING) -> FileJob:
        """Return the parts of a Parquet file, a folder of them or a Delta table.

        A window selects rows by the column `data.time`.

        Raises:
            ConfigInvalid: another reference than training, or a window without a column of times.
            Refused: the file is missing or unreadable, or the version has no profile.
            Fault: the registry or the file cannot be reached.
        """
        if self.reference != "training":
            raise ConfigInvalid(
                f"reference: found '{self.reference}', allowed for a file: training; the others "
                "are earlier windows of traffic"
            )
        reference = self.find_reference(version)
        span = self._find_span(reference, window)
        return plan_file(reference, path, span, self.config.drift.joint)

    def examine_file(self, rows: FileRows, window: Window | None) -> Examined:
        """Compare the rows that were read of a file with training.

        Raises:
            Refused: the version has no profile any more, or another one.
            Fault: the registry or the training data cannot be reached.
        """
        reference = self.find_reference(rows.job.version)
        before, now = reference.profile.reference, rows.counts
        joint, unlike = self._compare_file(reference, rows)
        report = build_report(
            replace(self._describe(reference, window), source=str(rows.job.path)),
            reference.profile,
            (before, now),
            self._judge(reference, before, now),
            joint,
        )
        slices = judge_slices(reference.profile, now, before)
        kinds = tuple(_explain_kind(one, now, reference) for one in report.kinds)
        return Examined(
            replace(report, kinds=kinds, slices=slices, unlike=unlike, notes=reference.notes),
            reference,
        )

    def _describe(self, reference: Reference, window: Window | None) -> DriftReport:
        """Return the empty report that says what is compared."""
        profile, record = reference.profile, reference.record
        return DriftReport(
            self.config.service,
            record.version,
            profile.data_version,
            self.name,
            window,
            source="",
            rows=0,
            reference_rows=0,
            kinds=(),
            columns={},
            trend=read_trend(record.run_id, self.name),
        )

    def _judge(
        self, reference: Reference, before: WindowCounts, now: WindowCounts
    ) -> dict[Kind, DriftJudgement]:
        return judge_drift(reference.profile, now, before)

    def _compare_traffic(
        self, reference: Reference, rows: LiveRows, window: Window, earlier: Sequence[Window]
    ) -> tuple[JointDrift | None, tuple[tuple[str, float], ...]]:
        """Return what a classifier finds, and the requests that look least like the reference."""
        if not self.config.drift.joint:
            return None, ()
        current, places = rows.sample([window])
        if not current.num_rows:
            return JointDrift(0, 0, "not judged", reason=NO_ROWS), ()
        before = rows.sample(earlier)[0] if earlier else self._sample_training(reference)
        joint = compare_rows(reference.profile, before, current)
        return joint, tuple((places[at], score) for at, score in joint.unlike)

    def _compare_file(
        self, reference: Reference, rows: FileRows
    ) -> tuple[JointDrift | None, tuple[tuple[str, float], ...]]:
        if rows.sample is None:
            return None, ()
        joint = compare_rows(reference.profile, self._sample_training(reference), rows.sample)
        if joint.reason == NOTHING_SHARED:
            joint = replace(joint, reason=NO_FEATURES)
        return joint, tuple((f"row {rows.places[at]:,}", score) for at, score in joint.unlike)

    def _sample_training(self, reference: Reference) -> "pa.Table":
        if reference.version not in self._samples:
            self._samples[reference.version] = sample_training(reference)
        return self._samples[reference.version]

    def _find_span(self, reference: Reference, window: Window | None) -> Span | None:
        if window is None:
            return None
        data = reference.config.data
        if not data.time or data.columns[data.time] != "timestamp":
            found = (
                f"'{data.time}', a column of kind {data.columns[data.time]}"
                if data.time
                else ("no column")
            )
            raise ConfigInvalid(
                f"window: found {found} in data.time of {self.config.service}, allowed with a "
                "file: a column of kind timestamp; next: leave the window out"
            )
        return Span(data.time, window.start.astimezone(UTC), window.end.astimezone(UTC))


def _explain_kind(kind: KindReport, now: WindowCounts, reference: Reference) -> KindReport:
    """Return a kind with the reason why rows of a file do not have it."""
    target = reference.config.data.target
    if kind.kind == "prediction":
        return replace(kind, reason="rows of a file have no answers of a model")
    if kind.kind == "label" and now.rows and target not in now.columns:
        return replace(kind, reason=f"the file has no column '{target}'")
    return kind


def _list_notes(found: CountedAnswers) -> Iterator[str]:
    """Yield what of the window's log is not in its rows."""
    if found.failed:
        yield (
            f"{found.failed:,} of {found.requests:,} requests failed: their inputs are counted, "
            "they have no outputs"
        )
    if found.unreadable:
        first = ", ".join(found.unreadable_ids)
        yield f"{found.unreadable:,} logged requests are not readable as JSON (first: {first})"
    if found.unknown_labels:
        yield (
            f"{found.unknown_labels:,} labels are about requests that are not in the log: they "
            "are not counted"
        )


def open_request(config: ServiceConfig, request: DriftRequest, version: int = -1) -> FileJob:
    """Return the parts of the file that a person named.

    Raises:
        ConfigInvalid: the window is not readable, or does not fit the file.
        Refused: there is no profile, or the file is not readable.
        Fault: the registry or the file cannot be reached.
    """
    examiner, window = _prepare(config, request)
    asked = window if request.window else None
    return examiner.open_file(Path(request.file).resolve(), asked, version)


def examine_request(
    config: ServiceConfig,
    request: DriftRequest,
    version: int = -1,
    rows: FileRows | None = None,
) -> Examined:
    """Examine what a person asked for; nothing is recorded.

    `rows` are those of the file, where it was read already.

    Raises:
        ConfigInvalid: the window is not readable, or does not fit the file.
        Refused: there is no profile, or the file is not readable.
        Fault: the registry or the traffic log cannot be reached.
    """
    examiner, window = _prepare(config, request)
    if request.file:
        found = rows or read_here(open_request(config, request, version))
        return examiner.examine_file(found, window if request.window else None)
    examined = examiner.examine_window(window, version)
    return replace(examined, report=add_trend(examined.report))


def _prepare(config: ServiceConfig, request: DriftRequest) -> tuple[Examiner, Window]:
    now = datetime.now(UTC)
    return Examiner(config, now, request.reference), read_window(request.window, config.drift, now)
