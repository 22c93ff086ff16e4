import pytest

from sluice.plots.forest import ForestRow, Range, draw_forest, draw_slices, label_rows
from sluice.plots.style import BAD, GOOD, OPEN, QUIET, make_figure
from sluice.stats.bootstrap import Estimate
from sluice.stats.comparison import MetricFigure, OlderRows


@pytest.mark.parametrize(
    ("low", "high", "colour"),
    [
        (-0.04, 0.02, GOOD),
        (-0.07, 0.02, OPEN),
        (-0.09, -0.06, BAD),
        (-0.05, 0.0, GOOD),
    ],
)
def test_colour_says_what_the_interval_proves(low, high, colour) -> None:
    row = ForestRow("a", (low + high) / 2, low, high, 10)
    assert Range(low=-0.05).choose_colour(row) == colour


def test_a_range_has_two_ends() -> None:
    inside = Range(-0.15, 0.15)
    assert inside.choose_colour(ForestRow("a", 0.2, 0.16, 0.3, 5)) == BAD
    assert inside.choose_colour(ForestRow("a", 0.1, 0.05, 0.3, 5)) == OPEN
    assert inside.choose_colour(ForestRow("a", None, None, None, 5)) == QUIET


def test_endless_intervals_are_cut_at_the_reach() -> None:
    axes = make_figure(4, 2, "").subplots()
    rows = [ForestRow("a", 0.9, 0.1, 400.0, 12), ForestRow("b", None, None, None, 3)]
    draw_forest(axes, rows, Range(low=0.8), (0.0, 2.0))
    label_rows(axes, rows)
    assert axes.get_xlim()[1] < 2.2
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a  (n 12)", "b  (n 3)"]
    assert [text.get_text() for text in axes.texts] == ["not judged"]


def test_older_rows_are_the_second_line_where_the_newest_ones_decide() -> None:
    newest, rest = (
        MetricFigure("auc", True, Estimate(0.8, 0.7, 0.9, n), None, Estimate(0.0, -0.1, 0.1, n))
        for n in (200, 700)
    )
    older = OlderRows("90 d", "2026-01-01", 700, (rest,))
    for given, labels in (
        (None, ["all rows  (n 200)"]),
        (older, ["newest rows (90 d)  (n 200)", "older rows, shown only  (n 700)"]),
    ):
        axes = draw_slices((), newest, 0.05, given).axes[0]
        assert [text.get_text() for text in axes.get_yticklabels()] == labels
