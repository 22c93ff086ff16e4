"""Evidence of the evaluation gate: a candidate on held-out rows, alone and with the champion."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.evaluation import EvaluationConfig
from sluice.config.model import Problem
from sluice.metrics import METRICS, Metric, list_metrics
from sluice.stats.baseline import BaselineFigure, answer_constantly, choose_metric
from sluice.stats.bootstrap import Estimate, Resampling, negate, number_groups
from sluice.stats.calibration import ReliabilityBin, bin_reliability, measure_gap, measure_slope
from sluice.stats.holdout import (
    Holdout,
    Predictions,
    find_gaps,
    find_score_gaps,
    mark_class,
    mark_predictions,
    name_values,
)
from sluice.stats.ranking import Differentiable
from sluice.stats.slicing import Slice, SliceFigure, compare_slices, find_slices
from sluice.stats.variation import Drawn, Influence, subtract, vary_figures


@dataclass(frozen=True)
class MetricFigure:
    """One metric over all held-out rows.

    `difference` is candidate minus champion on the same draws; its sign is set so that a positive
    difference is better.
    """

    name: str
    greater_is_better: bool
    candidate: Estimate
    champion: Estimate | None = None
    difference: Estimate | None = None

    @property
    def change(self) -> Estimate | None:
        """Candidate minus champion as it is: of an error, a negative change is better."""
        return self.difference if self.greater_is_better else negate(self.difference)


@dataclass(frozen=True)
class Lineage:
    """Which version serves, and on which data version each of the two models was trained.

    None where nothing serves yet, or where it is not known. `service` is their service.
    """

    champion: int | None = None
    champion_data: int | None = None
    candidate_data: int | None = None
    service: str = ""


@dataclass(frozen=True)
class Acceptance:
    """A person's acceptance of an implausibly good model of the same features and target.

    `measured` is the figure that was accepted, `high` its upper bound.
    """

    version: int
    by: str
    reason: str
    measured: float
    high: float


@dataclass(frozen=True)
class OlderRows:
    """The held-out rows that are shown and decide nothing, where the newest ones decide.

    `recent` is the setting, `since` the first time that counts as new, `n` the number of older
    rows. `metrics` are both models' figures on them, `missing` says in sentences why there are
    none.
    """

    recent: str
    since: str
    n: int
    metrics: tuple[MetricFigure, ...] = ()
    missing: tuple[str, ...] = ()

    def find_metric(self, name: str) -> MetricFigure | None:
        """Return the metric's figures on the older rows; None where it was not measured."""
        return next((figure for figure in self.metrics if figure.name == name), None)


@dataclass(frozen=True)
class EvaluationEvidence:
    """Everything that the evaluation gate judges, with the number of rows behind each figure.

    `missing` lists, in sentences, the evidence that is missing; then there are no figures. `units`
    is the number of groups that were drawn whole, or of rows. `threshold` is the decision
    threshold. `identical` says that both models predict exactly the same on every row. `baseline`
    is the comparison with a constant answer, None where it could not be made. `acceptance` is what
    a person said to an implausibly good model before. `older` are the rows that only the newest
    ones were separated from; None where all held-out rows decide.
    """

    problem: Problem
    primary: str
    n: int
    units: int
    has_champion: bool
    missing: tuple[str, ...] = ()
    metrics: tuple[MetricFigure, ...] = ()
    slices: tuple[SliceFigure, ...] = ()
    gap: Estimate | None = None
    slope: Estimate | None = None
    reliability: tuple[ReliabilityBin, ...] = ()
    threshold: float | None = None
    lineage: Lineage = Lineage()
    identical: bool = False
    baseline: BaselineFigure | None = None
    acceptance: Acceptance | None = None
    older: OlderRows | None = None

    def find_metric(self, name: str) -> MetricFigure | None:
        """Return the metric's figures; None where it was not measured."""
        return next((figure for figure in self.metrics if figure.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _MetricInputs:
    """Targets and predictions in the form that metrics take: 1 and 0 for a binary problem."""

    problem: Problem
    y: NDArray[Any]
    candidate: Predictions
    champion: Predictions | None
    training: NDArray[Any] | None = None

    @property
    def models(self) -> tuple[Predictions, ...]:
        return (self.candidate,) if self.champion is None else (self.candidate, self.champion)


def measure_evaluation(  # noqa: PLR0913
    config: EvaluationConfig,
    problem: Problem,
    positive: Any,
    holdout: Holdout,
    candidate: Predictions,
    champion: Predictions | None,
    *,
    threshold: float | None = None,
    training: NDArray[Any] | None = None,
) -> EvaluationEvidence:
    """Measure every metric of the problem, the differences, the slices and calibration.

    All intervals come from the same seeded draws over rows, or over the groups of `config.group`;
    above 50,000 rows from influence functions. `positive` is the target's value that counts as 1
    (binary problems). `training`, shape (training rows,), is the target of the training rows, which
    the best constant answer is chosen on.
    """
    n = len(holdout.y)
    missing = _find_missing(config, problem, holdout, candidate, champion)
    if problem == "binary" and not missing:
        missing = _find_one_class(holdout, positive)
    if missing:
        return EvaluationEvidence(
            problem, config.primary, n, n, champion is not None, tuple(missing), threshold=threshold
        )
    inputs = _prepare_inputs(problem, positive, holdout, candidate, champion, training)
    groups = number_groups(name_values(holdout.frame, config.group)) if config.group else None
    resampling = Resampling(n, config.draws, config.seed, groups)
    slices = find_slices(config.slices, holdout.frame) if champion else ()
    metrics, compared, baseline = _resample(config, inputs, resampling, slices)
    gap, slope, bins = _measure_calibration(inputs, groups)
    return EvaluationEvidence(
        problem=problem,
        primary=config.primary,
        n=n,
        units=resampling.units,
        has_champion=champion is not None,
        metrics=metrics,
        slices=compared,
        gap=gap,
        slope=slope,
        reliability=bins,
        threshold=threshold,
        identical=champion is not None and _is_identical(candidate, champion),
        baseline=baseline,
    )


def _is_identical(first: Predictions, second: Predictions) -> bool:
    """Whether two models predict exactly the same: labels, and scores where they have any."""
    if first.classes != second.classes or (first.scores is None) != (second.scores is None):
        return False
    same = bool(np.array_equal(np.asarray(first.labels), np.asarray(second.labels)))
    if not same or first.scores is None or second.scores is None:
        return same
    return bool(np.array_equal(first.scores, second.scores))


def _find_missing(
    config: EvaluationConfig,
    problem: Problem,
    holdout: Holdout,
    candidate: Predictions,
    champion: Predictions | None,
) -> list[str]:
    models = [("candidate", candidate), *([("champion", champion)] if champion else [])]
    found = []
    for model, predictions in models:
        gaps = find_gaps(holdout, predictions, model)
        found += gaps or find_score_gaps(problem, predictions, model)
    named = {
        "evaluation.group": [config.group] if config.group else [],
        "evaluation.slices.columns": config.slices.columns if champion else (),
    }
    for key, columns in named.items():
        absent = [column for column in columns if column not in holdout.frame.columns]
        found += [f"{key}: the held-out rows have no column '{column}'" for column in absent]
    if config.primary not in list_metrics(problem):
        found.append(
            f"evaluation.primary: '{config.primary}' is not a metric of {problem} problems"
        )
    return list(dict.fromkeys(found))


def _find_one_class(holdout: Holdout, positive: Any) -> list[str]:
    share = float(mark_class(holdout.y, positive).mean())
    if 0.0 < share < 1.0:
        return []
    held = "only" if share else "no"
    found = ", ".join(repr(value) for value in sorted(set(map(str, holdout.y.tolist())))[:5])
    return [
        f"the {len(holdout.y):,} held-out rows hold {held} positives: "
        f"data.positive is {positive!r}, found: {found}"
    ]


def _prepare_inputs(
    problem: Problem,
    positive: Any,
    holdout: Holdout,
    candidate: Predictions,
    champion: Predictions | None,
    training: NDArray[Any] | None,
) -> _MetricInputs:
    training = training if training is not None and len(training) else None
    if problem != "binary":
        return _MetricInputs(problem, holdout.y, candidate, champion, training)
    return _MetricInputs(
        problem,
        mark_class(holdout.y, positive),
        mark_predictions(candidate, positive),
        mark_predictions(champion, positive) if champion else None,
        None if training is None else mark_class(training, positive),
    )


def _resample(
    config: EvaluationConfig,
    inputs: _MetricInputs,
    resampling: Resampling,
    slices: Sequence[Slice],
) -> tuple[tuple[MetricFigure, ...], tuple[SliceFigure, ...], BaselineFigure | None]:
    """Measure each metric, each slice and the baseline, on the same draws."""
    metrics = [METRICS[name] for name in list_metrics(inputs.problem)]
    primary, judged = METRICS[config.primary], [part for part in slices if part.judged]
    families: list[list[Differentiable]] = [
        [metric.prepare[inputs.problem](inputs.y, one) for one in inputs.models]
        for metric in metrics
    ]
    families += [
        [part.restrict(primary, inputs.problem, inputs.y, one) for one in inputs.models]
        for part in judged
    ]
    baseline = _prepare_baseline(config.primary, inputs)
    families += [baseline] if baseline else []
    ones = np.ones((1, resampling.rows))
    values = [[float(statistic(ones)[0]) for statistic in family] for family in families]
    varied = vary_figures(resampling, families)
    first, last = len(metrics), len(metrics) + len(judged)
    figures = tuple(
        _compare(metric, values[at], varied[at], resampling.rows)
        for at, metric in enumerate(metrics)
    )
    compared = compare_slices(
        slices,
        primary,
        np.array(values[first:last]).ravel(),
        varied[first:last],
        config.slices.margin,
    )
    if not baseline:
        return figures, compared, None
    metric = METRICS[choose_metric(config.primary)]
    measured = _compare(metric, values[last], varied[last], resampling.rows)
    return figures, compared, BaselineFigure(metric.name, values[last][1], measured.difference)


def _prepare_baseline(primary: str, inputs: _MetricInputs) -> list[Differentiable]:
    """Prepare the candidate and the best constant answer; empty without training rows."""
    if inputs.training is None:
        return []
    metric, n = METRICS[choose_metric(primary)], len(inputs.y)
    constant = answer_constantly(metric.name, inputs.problem, inputs.training, n)
    return [metric.prepare[inputs.problem](inputs.y, one) for one in (inputs.candidate, constant)]


def _compare(
    metric: Metric, values: Sequence[float], varied: Sequence[Drawn] | Sequence[Influence], n: int
) -> MetricFigure:
    candidate = varied[0].bound(values[0], n)
    if len(values) == 1:
        return MetricFigure(metric.name, metric.greater_is_better, candidate)
    better = metric.sign * (values[0] - values[1])
    return MetricFigure(
        metric.name,
        metric.greater_is_better,
        candidate,
        varied[1].bound(values[1], n),
        subtract(varied, metric.sign).bound(better, n),
    )


def _measure_calibration(
    inputs: _MetricInputs, groups: NDArray[np.int64] | None
) -> tuple[Estimate | None, Estimate | None, tuple[ReliabilityBin, ...]]:
    scores = inputs.candidate.scores
    if inputs.problem != "binary" or scores is None:
        return None, None, ()
    return (
        measure_gap(inputs.y, scores, groups),
        measure_slope(inputs.y, scores, groups),
        bin_reliability(inputs.y, scores),
    )
