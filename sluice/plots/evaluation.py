"""The plots of a release's evaluation."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.service import ServiceConfig
from sluice.models.importance import Importance
from sluice.plots.forest import draw_slices
from sluice.plots.style import CANDIDATE, CHAMPION, INK, QUIET, add_legend, dress_axes, make_figure
from sluice.stats.calibration import ReliabilityBin
from sluice.stats.comparison import EvaluationEvidence
from sluice.stats.holdout import Holdout, Predictions, mark_class

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL_COLOURS = {"candidate": CANDIDATE, "champion": CHAMPION}
MAX_LABELLED = 12
"""Most classes of a confusion matrix whose cells show their numbers."""
MAX_FEATURES = 25
MAX_POINTS, CURVE_POINTS = 3000, 400
"""Most points of a scatter plot, and of a curve."""
SCORE_BARS, RESIDUAL_BARS = 25, 40
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def draw_evaluation(
    config: ServiceConfig,
    holdout: Holdout,
    candidate: Predictions,
    champion: Predictions | None,
    evidence: EvaluationEvidence,
    importance: Sequence[Importance],
) -> "dict[str, Figure]":
    """Draw the plots of a problem, by name; plots without evidence are left out.

    Rows and predictions are those that the evidence was measured on.
    """
    figures: dict[str, Figure] = {}
    if not evidence.missing:
        models = {"candidate": candidate} | ({"champion": champion} if champion else {})
        if config.problem == "regression":
            observed = holdout.y.astype(np.float64)
            name = config.data.target
            figures["predictions"] = draw_regression(observed, candidate.labels, name)
        else:
            figures |= _draw_classes(config, holdout, models, evidence)
        primary = evidence.find_metric(config.evaluation.primary)
        if primary is not None and primary.difference is not None:
            margin = config.evaluation.slices.margin
            figures["slices"] = draw_slices(evidence.slices, primary, margin, evidence.older)
    if importance:
        figures["importance"] = draw_importance(importance)
    return figures


def _draw_classes(
    config: ServiceConfig,
    holdout: Holdout,
    models: dict[str, Predictions],
    evidence: EvaluationEvidence,
) -> "dict[str, Figure]":
    figures: dict[str, Figure] = {}
    if config.problem == "binary":
        scores = {name: one.scores for name, one in models.items() if one.scores is not None}
        figures["ranking"] = draw_ranking(mark_class(holdout.y, config.data.positive), scores)
        if evidence.reliability:
            figures["calibration"] = draw_calibration(evidence.reliability, scores["candidate"])
    labels = {name: np.asarray(one.labels) for name, one in models.items()}
    classes = _list_classes(holdout, models["candidate"])
    figures["confusion"] = draw_confusion(holdout.y, labels, classes, evidence.threshold)
    return figures


def _list_classes(holdout: Holdout, candidate: Predictions) -> list[Any]:
    """Return the model's classes, then those that only the rows have."""
    known = list(candidate.classes)
    return known + sorted(set(holdout.y.tolist()) - set(known))


def draw_ranking(y: NDArray[np.int64], scores: Mapping[str, NDArray[np.float64]]) -> "Figure":
    """Draw the ROC curve beside precision over recall, one line for each named model.

    `y` is 1 or 0, shape (n,); each of `scores` has the same shape. The legends show the areas.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    figure = make_figure(9.0, 4.4, f"Ranking of {len(y):,} held-out rows")
    left, right = figure.subplots(1, 2)
    dress_axes(left, "ROC", "false-positive rate", "true-positive rate")
    left.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":", label="chance 0.500")
    _draw_lines(left, y, scores, _trace_roc, roc_auc_score)
    add_legend(left, "lower right")
    dress_axes(right, "Precision over recall", "recall", "precision")
    share = float(y.mean())
    right.axhline(share, color=QUIET, linewidth=1, linestyle=":", label=f"chance {share:.3f}")
    _draw_lines(right, y, scores, _trace_precision, average_precision_score)
    add_legend(right, "lower left")
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    return figure


def _draw_lines(
    axes: "Axes",
    y: NDArray[np.int64],
    scores: Mapping[str, NDArray[np.float64]],
    trace: Callable[[Any, Any], Curve],
    measure: Callable[[Any, Any], float],
) -> None:
    for name, values in scores.items():
        x, height = trace(y, values)
        colour = MODEL_COLOURS.get(name, CANDIDATE)
        dashes = "--" if name == "champion" else "-"
        label = f"{name} {measure(y, values):.3f}"
        axes.plot(x, height, label=label, linestyle=dashes, color=colour, linewidth=1.8)


def _trace_roc(y: NDArray[np.int64], scores: NDArray[np.float64]) -> Curve:
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(y, scores)
    return _thin(false, true)


def _trace_precision(y: NDArray[np.int64], scores: NDArray[np.float64]) -> Curve:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(y, scores)
    return _thin(recall, precision)


def _thin(x: NDArray[np.float64], height: NDArray[np.float64]) -> Curve:
    places = np.unique(np.linspace(0, len(x) - 1, min(CURVE_POINTS, len(x))).astype(int))
    return x[places], height[places]


def draw_calibration(bins: Sequence[ReliabilityBin], scores: NDArray[np.float64]) -> "Figure":
    """Draw observed over predicted shares with intervals, above the distribution of scores.

    `scores` are the probabilities of the rows that the bins hold, shape (n,).
    """
    figure = make_figure(5.4, 5.6, f"Calibration on {len(scores):,} held-out rows")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1.0])
    dress_axes(upper, "", "", "observed share of positives")
    upper.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":", label="perfect")
    _draw_bins(upper, bins)
    upper.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    add_legend(upper, "upper left")
    dress_axes(lower, "", "predicted probability", "rows")
    lower.hist(scores, bins=SCORE_BARS, range=(0.0, 1.0), color=CANDIDATE, alpha=0.75, linewidth=0)
    lower.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def _draw_bins(axes: "Axes", bins: Sequence[ReliabilityBin]) -> None:
    x = [part.predicted for part in bins]
    y = np.array([part.observed for part in bins])
    low, high = [part.low for part in bins], [part.high for part in bins]
    axes.fill_between(x, low, high, color=CANDIDATE, alpha=0.18, linewidth=0)
    label = f"candidate, {_describe_sizes(bins)} rows per point, 95 % band"
    axes.plot(x, y, color=CANDIDATE, linewidth=1.5, marker="o", markersize=4, label=label)


def _describe_sizes(bins: Sequence[ReliabilityBin]) -> str:
    sizes = [part.n for part in bins]
    if not sizes:
        return "no"
    small, large = min(sizes), max(sizes)
    return f"{small:,}" if small == large else f"{small:,} to {large:,}"


def draw_confusion(
    y: NDArray[Any],
    labels: Mapping[str, NDArray[Any]],
    classes: Sequence[Any],
    threshold: float | None = None,
) -> "Figure":
    """Draw a confusion matrix of each named model: rows, and their share of the true class.

    `y` and each of `labels` have shape (n,); colours are shares of the true class, 0 to 1.
    """
    at = "" if threshold is None else f" at threshold {threshold:.3f}"
    size = min(7.0, 2.9 + 0.42 * len(classes))
    title = f"Predictions on {len(y):,} held-out rows{at}"
    figure = make_figure(size * len(labels) + 0.4, size + 0.2, title)
    panels = figure.subplots(1, len(labels), squeeze=False)[0]
    for axes, (name, predicted) in zip(panels, labels.items(), strict=True):
        _draw_matrix(axes, name, _count_pairs(y, predicted, classes), classes)
    return figure


def _count_pairs(
    y: NDArray[Any], predicted: NDArray[Any], classes: Sequence[Any]
) -> NDArray[np.int64]:
    places = {value: place for place, value in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for true, label in zip(y.tolist(), predicted.tolist(), strict=True):
        if true in places and label in places:
            counts[places[true], places[label]] += 1
    return counts


def _draw_matrix(
    axes: "Axes", name: str, counts: NDArray[np.int64], classes: Sequence[Any]
) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    dress_axes(axes, name, "predicted", "true").grid(False)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    names = [str(value)[:14] for value in classes]
    turned = 45 if max(map(len, names)) > 7 else 0
    axes.set_xticks(range(len(names)), names, rotation=turned, ha="right" if turned else "center")
    axes.set_yticks(range(len(names)), names)
    if len(classes) > MAX_LABELLED:
        return
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else INK
        text = f"{counts[row, column]:,}\n{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def draw_regression(
    observed: NDArray[np.float64], predicted: NDArray[np.float64], target: str
) -> "Figure":
    """Draw observed over predicted values, beside the distribution of the residuals.

    Both arrays have shape (n,). Of more than 3,000 rows every k-th is drawn as a point; the
    distribution is of all rows.
    """
    figure = make_figure(9.0, 4.4, f"{target} on {len(observed):,} held-out rows")
    left, right = figure.subplots(1, 2)
    dress_axes(left, "Observed over predicted", f"predicted {target}", f"observed {target}")
    step = max(1, len(observed) // MAX_POINTS)
    left.scatter(
        predicted[::step], observed[::step], s=7, alpha=0.35, color=CANDIDATE, linewidths=0
    )
    span = [
        float(min(observed.min(), predicted.min())),
        float(max(observed.max(), predicted.max())),
    ]
    left.plot(span, span, color=QUIET, linewidth=1, linestyle=":")
    residuals = observed - predicted
    title = f"Residuals: mean {residuals.mean():,.3g}, standard deviation {residuals.std():,.3g}"
    dress_axes(right, title, f"observed minus predicted {target}", "rows")
    right.hist(residuals, bins=RESIDUAL_BARS, color=CANDIDATE, alpha=0.75, linewidth=0)
    right.axvline(0.0, color=QUIET, linewidth=1, linestyle=":")
    return figure


def draw_importance(importance: Sequence[Importance]) -> "Figure":
    """Draw permutation importance, largest first, with standard deviations.

    Of more than 25 features the 25 most important are shown.
    """
    shown = importance[:MAX_FEATURES]
    first = shown[0]
    figure = make_figure(6.4, 1.4 + 0.26 * len(shown), f"Importance on {first.n:,} held-out rows")
    axes = figure.subplots()
    label = f"loss of {first.figure} when the feature is shuffled"
    dress_axes(axes, "", label).grid(False, axis="y")
    places = range(len(shown))
    spread = [item.deviation for item in shown]
    means = [item.mean for item in shown]
    axes.barh(places, means, xerr=spread, height=0.6, color=CANDIDATE, error_kw={"ecolor": INK})
    axes.set_yticks(places, [item.feature for item in shown], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.0, color=INK, linewidth=0.8)
    return figure
