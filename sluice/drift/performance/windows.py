"""Windows of labelled answers: each is judged once, and what it says about the performance.

Windows are tumbling: so many labelled answers of one version each, in the order in which their
first labels arrived. Which answers a window has depends on the log alone, so that every monitor
finds the same windows, however late it comes. A label that arrives after a window was judged has
its place in a later one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from sluice.config.monitoring.performance import PerformanceConfig
from sluice.config.service import ServiceConfig
from sluice.drift.performance.comparison import (
    LossRise,
    PerformanceDrop,
    compare_figures,
    describe_change,
    judge_loss,
)
from sluice.drift.performance.figures import (
    measure_loss,
    measure_metric,
    measure_slices,
    prepare_rows,
)
from sluice.drift.performance.labelled import LabelledRows
from sluice.drift.performance.reference import PerformanceReference

PerformanceEvent = Literal["performance.dropped", "performance.recovered", ""]
DROPPED: PerformanceEvent = "performance.dropped"
RECOVERED: PerformanceEvent = "performance.recovered"


@dataclass(frozen=True)
class WindowVerdict:
    """What one window shows, as facts; `alarm` is None where nothing of it could be judged.

    `first` and `last` are when the labels of the window arrived, `answered` the times of its oldest
    and its newest answer. A slice that dropped is shown, and is no alarm by itself.
    """

    version: int
    n: int
    first: datetime
    last: datetime
    answered: tuple[datetime, datetime]
    loss: LossRise
    primary: PerformanceDrop
    slices: tuple[tuple[str, PerformanceDrop], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def alarm(self) -> bool | None:
        """Whether the loss has risen or the primary metric has dropped."""
        judged = [one for one in (self.loss.risen, self.primary.dropped) if one is not None]
        return any(judged) if judged else None

    def to_document(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        document: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return document


_ADAPTER = TypeAdapter(WindowVerdict)


def read_verdict(document: Any) -> WindowVerdict:
    """Return the verdict of a document."""
    return _ADAPTER.validate_python(document)


def judge_window(
    config: ServiceConfig, reference: PerformanceReference, rows: LabelledRows, version: int
) -> WindowVerdict:
    """Judge the rows of one window against the figures of the release.

    Alarm: the mean loss is above that of the held-out rows (one-sided z at `alpha`), or the primary
    metric has dropped by more than `drop` of its value, with a lower one-sided bound above 0.
    """
    limits = config.performance
    scored = prepare_rows(reference.problem, reference.positive, rows.y, rows.predictions)
    primary = compare_figures(
        reference.find_figure(reference.primary),
        measure_metric(scored, reference.primary),
        limits.drop,
        limits.alpha,
    )
    return WindowVerdict(
        version=version,
        n=len(rows),
        first=rows.labelled[0],
        last=rows.labelled[-1],
        answered=(min(rows.answered), max(rows.answered)),
        loss=judge_loss(reference.loss, measure_loss(scored), limits.alpha),
        primary=primary,
        slices=compare_by_slice(config, reference, rows),
        notes=_find_absent(config, rows),
    )


def compare_by_slice(
    config: ServiceConfig, reference: PerformanceReference, rows: LabelledRows
) -> tuple[tuple[str, PerformanceDrop], ...]:
    """Compare each slice of labelled rows with the same slice at the release, by its name.

    The level is shared by the slices that have enough rows (Bonferroni).
    """
    limits, columns = config.performance, config.data.columns
    scored = prepare_rows(reference.problem, reference.positive, rows.y, rows.predictions)
    found = measure_slices(config.evaluation.slices, columns, rows.frame, scored, reference.primary)
    judged = sum(one.figure.value is not None for one in found)
    compared = []
    for one in found:
        before = reference.find_slice(one.column, one.value)
        baseline = before.figure if before is not None else None
        level = limits.alpha / max(judged, 1)
        compared.append((one.name, compare_figures(baseline, one.figure, limits.drop, level)))
    return tuple(compared)


def _find_absent(config: ServiceConfig, rows: LabelledRows) -> tuple[str, ...]:
    wanted = config.evaluation.slices.columns
    absent = [name for name in wanted if name not in rows.frame.columns]
    return tuple(
        f"slices of '{name}' are not measured: callers do not send the column" for name in absent
    )


@dataclass(frozen=True)
class PerformanceState:
    """Whether a version's performance has dropped, after so many windows.

    `clean` counts the windows without an alarm since the last one with one.
    """

    windows: int = 0
    dropped: bool = False
    clean: int = 0

    def follow(
        self, config: PerformanceConfig, alarm: bool | None
    ) -> tuple["PerformanceState", PerformanceEvent]:
        """Return the state after one more window, and the event of the change, if there is one.

        One alarm is enough for a drop; it is over after `recovery` windows in a row without one. A
        window that could not be judged changes nothing.
        """
        after = replace(self, windows=self.windows + 1)
        if alarm is None:
            return after, ""
        if alarm:
            return replace(after, dropped=True, clean=0), "" if self.dropped else DROPPED
        after = replace(after, clean=self.clean + 1)
        if self.dropped and after.clean >= config.recovery:
            return replace(after, dropped=False), RECOVERED
        return after, ""


def describe_event(verdict: WindowVerdict, number: int) -> dict[str, Any]:
    """Return the payload of a window's event: the figure that changed, and the window.

    `bound` is the lower one-sided bound of the relative drop. Where only the loss alarmed, the
    figure is the loss, and `bound` is None; `p` is the p value of its test.
    """
    primary, loss = verdict.primary, verdict.loss
    by_loss = bool(loss.risen) and not primary.dropped
    shown: Sequence[Any] = (
        (loss.name, loss.baseline, loss.value, None)
        if by_loss
        else (primary.name, primary.baseline, primary.value, primary.bound)
    )
    metric, baseline, value, bound = shown
    return {
        "reason": describe_change(metric, baseline, value, verdict.n),
        "metric": metric,
        "baseline": baseline,
        "value": value,
        "bound": bound,
        "p": loss.p,
        "estimated": False,
        "window": number,
        "window_start": verdict.first.isoformat(),
        "window_end": verdict.last.isoformat(),
        "rows": verdict.n,
        "version": verdict.version,
    }
