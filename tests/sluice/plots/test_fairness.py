import numpy as np
import pytest

from sluice.config.bias import BiasConfig
from sluice.plots.forest import draw_fairness
from sluice.plots.style import render_png
from sluice.stats.bias import measure_bias
from sluice.stats.holdout import Holdout

LIMITS = BiasConfig(sensitive=("sex", "race"), draws=200)


def test_three_panels_show_every_group(evaluated) -> None:
    one = evaluated("binary")
    evidence = measure_bias(LIMITS, "binary", 1, one.holdout, one.candidate)
    figure = draw_fairness(LIMITS, evidence)["fairness"]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Selection ratio", "True-positive difference", "False-positive difference"]
    named = " ".join(text.get_text() for text in figure.axes[0].get_yticklabels())
    for group in {one.group for one in evidence.figures}:
        assert group in named
    assert len(render_png(figure)) < 150_000


def test_a_regression_has_one_panel(evaluated) -> None:
    one = evaluated("regression")
    evidence = measure_bias(LIMITS, "regression", None, one.holdout, one.candidate)
    figure = draw_fairness(LIMITS, evidence)["fairness"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Error ratio"]


@pytest.mark.parametrize("columns", [("sex",), ("sex", "race")])
def test_nothing_measured_is_nothing_drawn(evaluated, columns) -> None:
    one = evaluated("binary")
    limits = LIMITS.model_copy(update={"sensitive": columns})
    empty = Holdout(np.array([], dtype=int), one.holdout.frame.head(0))
    none = type(one.candidate)(np.array([], dtype=int), np.array([]), (0, 1))
    assert draw_fairness(limits, measure_bias(limits, "binary", 1, empty, none)) == {}
