"""Which classes are taken for which."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.plots.style import INK, dress_axes, make_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 12
"""Most classes whose cells carry their numbers."""


def draw_confusion(
    y: NDArray[Any],
    labels: Mapping[str, NDArray[Any]],
    classes: Sequence[Any],
    threshold: float | None = None,
) -> "Figure":
    """Draw a confusion matrix for each named model: rows and the share of the true class.

    `y` and each of `labels` have shape (n,); colours are shares of the true class, 0 to 1.
    """
    at = "" if threshold is None else f" at threshold {threshold:.3f}"
    size = min(7.0, 2.9 + 0.42 * len(classes))
    title = f"Answers on {len(y):,} held-out rows{at}"
    figure = make_figure(size * len(labels) + 0.4, size + 0.2, title)
    panels = figure.subplots(1, len(labels), squeeze=False)[0]
    for axes, (name, answers) in zip(panels, labels.items(), strict=True):
        _draw_matrix(axes, name, _count_pairs(y, answers, classes), classes)
    return figure


def _count_pairs(
    y: NDArray[Any], answers: NDArray[Any], classes: Sequence[Any]
) -> NDArray[np.int64]:
    places = {value: place for place, value in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    pairs = zip(y.tolist(), answers.tolist(), strict=True)
    for true, answered in pairs:
        if true in places and answered in places:
            counts[places[true], places[answered]] += 1
    return counts


def _draw_matrix(
    axes: "Axes", name: str, counts: NDArray[np.int64], classes: Sequence[Any]
) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    dress_axes(axes, name, "answered", "true").grid(False)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    named = [str(value)[:14] for value in classes]
    turned = 45 if max(map(len, named)) > 7 else 0
    axes.set_xticks(range(len(named)), named, rotation=turned, ha="right" if turned else "center")
    axes.set_yticks(range(len(named)), named)
    if len(classes) > NAMED:
        return
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else INK
        text = f"{counts[row, column]:,}\n{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
