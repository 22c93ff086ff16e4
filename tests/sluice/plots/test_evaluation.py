import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sluice.models.importance import Importance
from sluice.plots.evaluation import draw_evaluation
from sluice.plots.style import render_png
from sluice.stats.comparison import EvaluationEvidence

NAMES = {
    "binary": {"ranking", "calibration", "confusion", "slices", "importance"},
    "multiclass": {"confusion", "slices", "importance"},
    "regression": {"predictions", "slices", "importance"},
}
IMPORTANCE = [Importance("age", 0.18, 0.01, "AUC", 2_000), Importance("sex", -0.001, 0.0, "AUC", 9)]


def draw(one, champion=True, evidence=None, importance=IMPORTANCE):
    return draw_evaluation(
        one.config,
        one.holdout,
        one.candidate,
        one.champion if champion else None,
        evidence or one.evidence,
        importance,
    )


def read_texts(figure) -> str:
    from matplotlib.text import Text

    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("problem", list(NAMES))
def test_every_problem_has_its_plots_as_small_png(evaluated, problem) -> None:
    figures = draw(evaluated(problem))
    assert set(figures) == NAMES[problem]
    for figure in figures.values():
        content = render_png(figure)
        assert content.startswith(b"\x89PNG")
        assert len(content) < 150_000


def test_the_ranking_shows_both_models_and_their_areas(evaluated) -> None:
    one = evaluated("binary")
    texts = read_texts(draw(one)["ranking"])
    for name, predictions in (("candidate", one.candidate), ("champion", one.champion)):
        assert f"{name} {roc_auc_score(one.holdout.y, predictions.scores):.3f}" in texts


def test_the_drawn_roc_has_the_area_of_its_label(evaluated) -> None:
    one = evaluated("binary")
    line = draw(one)["ranking"].axes[0].lines[1]
    area = np.trapezoid(line.get_ydata(), line.get_xdata())
    assert area == pytest.approx(roc_auc_score(one.holdout.y, one.candidate.scores), abs=0.002)


def test_the_confusion_matrix_counts_every_row(evaluated) -> None:
    one = evaluated("multiclass")
    axes = draw(one)["confusion"].axes[0]
    cells = [text.get_text().split("\n")[0] for text in axes.texts]
    assert sum(int(cell.replace(",", "")) for cell in cells) == len(one.holdout.y)


def test_axes_are_labelled(evaluated) -> None:
    for problem in NAMES:
        for figure in draw(evaluated(problem)).values():
            assert all(axes.get_xlabel() for axes in figure.axes[-1:])


def test_without_a_champion_nothing_is_compared(evaluated) -> None:
    from sluice.stats.comparison import measure_evaluation

    one = evaluated("binary")
    alone = measure_evaluation(one.config.evaluation, "binary", 1, one.holdout, one.candidate, None)
    figures = draw(one, champion=False, evidence=alone)
    assert "slices" not in figures
    assert "champion" not in read_texts(figures["ranking"])


def test_missing_evidence_draws_only_what_is_known(evaluated) -> None:
    missing = EvaluationEvidence("binary", "auc", 0, 0, False, ("no held-out rows",))
    assert set(draw(evaluated("binary"), evidence=missing)) == {"importance"}
    assert draw(evaluated("binary"), evidence=missing, importance=()) == {}


def test_drawing_leaves_no_global_figure(evaluated) -> None:
    from matplotlib import pyplot

    draw(evaluated("binary"))
    assert pyplot.get_fignums() == []


def test_the_same_figure_gives_the_same_bytes(evaluated) -> None:
    one = evaluated("regression")
    assert render_png(draw(one)["predictions"]) == render_png(draw(one)["predictions"])
