"""The requests of an experiment as arrays, and the metrics of each unit that they make.

A unit's requests count within `window` after its first one; only then is the unit complete. So each
unit gives one figure that no later look changes, which is what makes looks valid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sluice.config.experiments.experiment import FROM_FEEDBACK, ExperimentConfig, MetricConfig
from sluice.stats.experiments.means import Values

CONTROL, TREATMENT, NONE = 0, 1, -1
"""Arms of a request; `NONE` while the treatment could not get any."""
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ExperimentRequests:
    """Logged requests, one entry each; `names` are the sorted hashes of the units."""

    names: NDArray[np.str_]
    unit: Codes
    """Place in `names`."""
    arm: Codes
    at: Values
    """Seconds since 1970."""
    figures: Mapping[str, Values]
    """By source; NaN where the request has none."""
    feedback_at: Values
    """When its feedback came; NaN where none did."""
    traits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What is known of each unit (not request) by its first request: day, replica, columns."""
    without_unit: int = 0
    """Requests whose caller named no unit, so that each is one of its own."""


@dataclass(frozen=True, eq=False)
class MetricValues:
    """One metric of every complete unit: its sum and its count; the figure is sum / count."""

    sums: Values
    counts: Values

    def take(self, chosen: NDArray[np.bool_]) -> "MetricValues":
        """Return those of some units."""
        return MetricValues(self.sums[chosen], self.counts[chosen])


@dataclass(frozen=True, eq=False)
class ExperimentUnits:
    """The complete units of an experiment that were in one arm only, one entry each."""

    arm: Codes
    entered: Values
    """Seconds since 1970 of the first request."""
    metrics: Mapping[str, MetricValues]
    covariate: Values | None
    """The primary metric from before the start; NaN where a unit was not seen then."""
    traits: Mapping[str, NDArray[np.str_]]
    assigned: tuple[int, int]
    """Units seen in the control and in the treatment, whether complete or not."""
    assigned_by: Mapping[str, Mapping[str, tuple[int, int]]]
    """The same by each trait's values."""
    mixed: int = 0
    """Units that were seen in both arms: counted, and left out."""
    waiting: int = 0
    """Units whose window has not ended yet."""
    unassigned: int = 0
    """Requests of neither arm."""
    without_unit: int = 0

    def count(self, arm: int) -> int:
        """Return the complete units of an arm."""
        return int(np.sum(self.arm == arm))


def build_units(
    requests: ExperimentRequests,
    config: ExperimentConfig,
    as_of: float,
    before: ExperimentRequests | None = None,
) -> ExperimentUnits:
    """Return what each unit did until `as_of` (seconds since 1970).

    `before` are requests from before the experiment, for the covariate.
    """
    inside = (requests.arm != NONE) & (requests.at <= as_of)
    unit, at, arm = requests.unit[inside], requests.at[inside], requests.arm[inside]
    total = len(requests.names)
    entered = np.full(total, np.inf)
    np.minimum.at(entered, unit, at)
    seen = [np.bincount(unit[arm == one], minlength=total) > 0 for one in (CONTROL, TREATMENT)]
    mixed = seen[0] & seen[1]
    complete = entered + config.window + config.wait <= as_of
    kept = complete & ~mixed
    metrics = {
        metric.name: _measure(requests, metric, config, inside, entered, kept)
        for metric in config.list_metrics()
    }
    traits = {name: np.array(values, dtype=str) for name, values in requests.traits.items()}
    return ExperimentUnits(
        arm=np.where(seen[1], TREATMENT, CONTROL)[kept],
        entered=entered[kept],
        metrics=metrics,
        covariate=_measure_before(before, config, requests.names)[kept] if before else None,
        traits={name: values[kept] for name, values in traits.items()},
        assigned=(int(seen[0].sum()), int(seen[1].sum())),
        assigned_by={name: _count_by(values, seen) for name, values in traits.items()},
        mixed=int(mixed.sum()),
        waiting=int(np.sum(np.isfinite(entered) & ~complete)),
        unassigned=int(np.sum((requests.arm == NONE) & (requests.at <= as_of))),
        without_unit=requests.without_unit,
    )


def _measure(
    requests: ExperimentRequests,
    metric: MetricConfig,
    config: ExperimentConfig,
    inside: NDArray[np.bool_],
    entered: Values,
    kept: NDArray[np.bool_],
) -> MetricValues:
    """Return a metric of the units that are kept."""
    started = entered[requests.unit]
    rows = inside & (requests.at < started + config.window)
    if metric.source in FROM_FEEDBACK:
        rows &= requests.feedback_at <= started + config.window + config.wait
    return _sum_units(requests, metric, rows).take(kept)


def _sum_units(
    requests: ExperimentRequests, metric: MetricConfig, rows: NDArray[np.bool_]
) -> MetricValues:
    figures = requests.figures[metric.source]
    rows = rows & np.isfinite(figures)
    total = len(requests.names)
    sums = np.bincount(requests.unit[rows], weights=figures[rows], minlength=total).astype(float)
    if metric.shape == "ratio":
        counts = np.bincount(requests.unit[rows], minlength=total).astype(float)
        return MetricValues(sums, counts)
    if metric.shape == "rate":
        sums = (sums > 0).astype(float)
    elif metric.cap is not None:
        sums = np.minimum(sums, metric.cap)
    return MetricValues(sums, np.ones(total))


def _measure_before(
    before: ExperimentRequests, config: ExperimentConfig, names: NDArray[np.str_]
) -> Values:
    """Return the primary metric of each unit from before; NaN where it was not seen then."""
    metric = config.primary
    found = _sum_units(before, metric, np.ones(len(before.at), dtype=bool))
    seen = np.bincount(before.unit, minlength=len(before.names)) > 0
    counts = found.counts if metric.shape != "ratio" else np.maximum(found.counts, 1.0)
    values = np.where(seen, found.sums / counts, np.nan)
    covariate = np.full(len(names), np.nan)
    if not len(before.names):
        return covariate
    places = np.clip(np.searchsorted(before.names, names), 0, len(before.names) - 1)
    known = before.names[places] == names
    covariate[known] = values[places[known]]
    return covariate


def _count_by(
    values: NDArray[np.str_], seen: Sequence[NDArray[np.bool_]]
) -> dict[str, tuple[int, int]]:
    either = seen[0] | seen[1]
    return {
        str(level): (
            int(np.sum(seen[0] & (values == level))),
            int(np.sum(seen[1] & (values == level))),
        )
        for level in np.unique(values[either])
    }
