"""How far predicted values are from observed ones."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluice.plots.style import CANDIDATE, QUIET, dress_axes, make_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 3000
BARS = 40


def draw_regression(
    observed: NDArray[np.float64], predicted: NDArray[np.float64], target: str
) -> "Figure":
    """Draw observed over predicted values beside the residuals' spread; both have shape (n,).

    Of more than 3,000 rows every so-many-th is drawn as a point; the spread is of all.
    """
    figure = make_figure(9.0, 4.4, f"{target} on {len(observed):,} held-out rows")
    left, right = figure.subplots(1, 2)
    dress_axes(left, "Observed over predicted", f"predicted {target}", f"observed {target}")
    step = max(1, len(observed) // POINTS)
    left.scatter(
        predicted[::step], observed[::step], s=7, alpha=0.35, color=CANDIDATE, linewidths=0
    )
    span = [
        float(min(observed.min(), predicted.min())),
        float(max(observed.max(), predicted.max())),
    ]
    left.plot(span, span, color=QUIET, linewidth=1, linestyle=":")
    residuals = observed - predicted
    title = f"Residuals: mean {residuals.mean():,.3g}, deviation {residuals.std():,.3g}"
    dress_axes(right, title, f"observed less predicted {target}", "rows")
    right.hist(residuals, bins=BARS, color=CANDIDATE, alpha=0.75, linewidth=0)
    right.axvline(0.0, color=QUIET, linewidth=1, linestyle=":")
    return figure
