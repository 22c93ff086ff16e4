"""How well scores rank: the ROC curve and precision over recall."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.plots.style import (
    CANDIDATE,
    CHAMPION,
    QUIET,
    add_legend,
    dress_axes,
    make_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
POINTS = 400
COLOURS = {"candidate": CANDIDATE, "champion": CHAMPION}


def draw_ranking(y: NDArray[np.int64], scores: Mapping[str, NDArray[np.float64]]) -> "Figure":
    """Draw the ROC curve beside precision over recall, one line for each named model.

    `y` is 1 or 0, shape (n,); each of `scores` has the same shape. Areas stand in the legends.
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
        colour = COLOURS.get(name, CANDIDATE)
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
    places = np.unique(np.linspace(0, len(x) - 1, min(POINTS, len(x))).astype(int))
    return x[places], height[places]
