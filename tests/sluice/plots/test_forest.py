import pytest

from sluice.plots.forest import ForestRow, Range, draw_forest, label_rows
from sluice.plots.style import BAD, GOOD, OPEN, QUIET, make_figure


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
