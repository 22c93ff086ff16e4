"""The common style of all plots: colours, axes, legends, and rendering to PNG."""

import io
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CANDIDATE = "#1f5fa8"
CHAMPION = "#7a7a7a"
GOOD = "#1f5fa8"
BAD = "#b3261e"
OPEN = "#c77700"
QUIET = "#9a9a9a"
INK = "#222222"
GRID = "#e4e4e4"
DPI = 110


def make_figure(width: float, height: float, title: str) -> "Figure":
    """Make an empty figure of the given size in inches, with its title at the top left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return figure


def dress_axes(axes: "Axes", title: str = "", x: str = "", y: str = "") -> "Axes":
    """Add the title, labels with units and a light grid to axes, and remove their frame."""
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, length=0, labelcolor=INK)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def add_legend(
    axes: "Axes",
    place: Literal["lower right", "center right", "lower left", "upper left", "upper right"],
) -> None:
    """Add a legend without a frame in a corner of the axes."""
    axes.legend(loc=place, fontsize=8, frameon=False, labelcolor=INK)


def render_png(figure: "Figure") -> bytes:
    """Render a figure as PNG; without a date, so that equal figures have equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # `savefig` would draw everything twice, the first time only for the layout.
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
