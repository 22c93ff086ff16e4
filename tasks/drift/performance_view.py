"""Live performance as a report of drift shows it: the newest measured window, and an estimate."""

from dataclasses import replace

from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.config.service import ServiceConfig
from sluice.drift.live.report import PerformanceView
from sluice.drift.live.schedule import Window
from sluice.drift.performance.reference import PerformanceReference
from sluice.drift.performance.windows import read_verdict
from sluice.errors import DataInvalid
from tasks.drift.estimates import estimate_recent
from tasks.drift.performance import load_reference

NO_SECTION = (
    "the reference profile has no section `performance`: nothing is estimated or measured; next: "
    "release again"
)
NOT_MEASURED = (
    "not measured yet: no window of labelled answers of this version was judged; the flow "
    "`monitor` judges each once it is whole"
)


def view_performance(
    config: ServiceConfig, record: ModelVersionRef, window: Window
) -> PerformanceView:
    """Return the measured and the estimated performance of a version beside its release's.

    Raises:
        Fault: the control store, the registry or the traffic log cannot be reached.
    """
    try:
        reference = load_reference(record)
    except DataInvalid as error:
        return PerformanceView(notes=(str(error),))
    if reference is None:
        return PerformanceView(notes=(NO_SECTION,))
    view = _view_measured(config, record, reference)
    return _add_estimate(view, config, record, reference, window)


def _view_measured(
    config: ServiceConfig, record: ModelVersionRef, reference: PerformanceReference
) -> PerformanceView:
    figure = reference.find_figure(reference.primary)
    baseline = figure.value if figure else None
    last = prepare_control().performance.list_last(config.service, record.version, 1)
    if not last:
        return PerformanceView(reference.primary, baseline, notes=(NOT_MEASURED,))
    verdict = read_verdict(last[0].verdict)
    note = verdict.primary.note
    return PerformanceView(
        verdict.primary.name,
        verdict.primary.baseline,
        verdict.primary.value,
        verdict.n,
        verdict.last,
        last[0].dropped,
        notes=(f"{verdict.primary.name} is not judged: {note}",) if note else (),
    )


def _add_estimate(
    view: PerformanceView,
    config: ServiceConfig,
    record: ModelVersionRef,
    reference: PerformanceReference,
    window: Window,
) -> PerformanceView:
    found, skipped = estimate_recent(config, reference, record.version, window.start, window.end)
    notes = (*view.notes, *([found.note] if found.note else []), *skipped.describe("answers"))
    view = replace(view, estimated_rows=found.n, blindness=found.blindness, notes=notes)
    if found.primary is None:
        return view
    drop = found.primary
    extra = (f"the estimate is not judged: {drop.note}",) if drop.note else ()
    return replace(
        view,
        estimated=drop.value,
        estimated_baseline=drop.baseline,
        estimated_metric=drop.name,
        estimated_alarm=None if drop.note else drop.dropped,
        notes=(*notes, *extra),
    )
