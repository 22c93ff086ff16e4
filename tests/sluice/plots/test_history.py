from sluice.plots.history import HistoryPoint, draw_history
from sluice.plots.style import render_png

POINTS = [
    HistoryPoint("v1", 0.83, 0.82, 0.84, 0.8, True),
    HistoryPoint("v2", 0.78, 0.77, 0.79, 0.8, False),
    HistoryPoint("v3", 0.84, 0.83, 0.85, 0.82, True),
]


def test_releases_and_limit_are_drawn_apart() -> None:
    figure = draw_history("alpha", "auc", POINTS)
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["v1", "v2", "v3"]
    assert axes.get_legend_handles_labels()[1] == ["limit", "registered", "stopped"]
    limit = next(line for line in axes.lines if line.get_label() == "limit")
    assert list(limit.get_ydata()) == [0.8, 0.8, 0.8, 0.82, 0.82]


def test_stopped_releases_differ_by_shape_and_filling() -> None:
    axes = draw_history("alpha", "auc", POINTS).axes[0]
    lines = {box.get_label(): box.lines[0] for box in axes.containers}
    assert lines["registered"].get_marker() != lines["stopped"].get_marker()
    assert lines["stopped"].get_markerfacecolor() == "white"


def test_plot_is_a_small_file() -> None:
    points = [HistoryPoint(f"v{number}", 0.8, 0.79, 0.81, None, True) for number in range(50)]
    assert len(render_png(draw_history("alpha", "auc", points))) < 100_000
