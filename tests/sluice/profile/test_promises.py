"""What `init` promises is what a first release does, at every size that it accepts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sluice.errors import ChoiceNeeded, DataInvalid
from sluice.profile.limits import describe_prospects
from sluice.verdict import Outcome
from support.releases.drafts import CASES, DraftedService, draft_file, draft_frame, draw_rows

pytestmark = pytest.mark.slow  # whole drafts and first releases
QUICK = pytest.mark.usefixtures("two_candidates")
"""The choice of the model is not the point: what is promised holds for each."""


def add_outcome(n: int, seed: int, noise: float = 1.0) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    rows, random = draw_rows(n, seed), np.random.default_rng(seed)
    rows["sex"] = random.choice(["female", "male"], n)
    return rows, rows["size"] + 0.5 * rows["weight"] + noise * random.normal(size=n)


def draft_problem(folder: Path, problem: str, n: int, seed: int) -> DraftedService:
    rows, signal = add_outcome(n, seed)
    good = {"binary": "common", "multiclass": "class 0", "regression": ""}[problem]
    if problem == "binary":
        rows["y"] = np.where(signal.rank() <= max(20, n // 10), "rare", "common")
    elif problem == "multiclass":
        rows["y"] = pd.qcut(signal, n // 20 if n < 500 else 5, labels=False).map("class {}".format)
    else:
        rows["y"] = (10 * signal + 50).round(3)
    return draft_frame(folder, rows, "y", sensitive="sex", favourable=good)


@QUICK
@pytest.mark.parametrize(("n", "seed"), [(200, 0), (340, 1), (1200, 0)])
@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_a_first_release_keeps_every_limit_that_init_wrote(
    tmp_path: Path, problem: str, n: int, seed: int
) -> None:
    drafted = draft_problem(tmp_path, problem, n, seed)
    verdicts = drafted.release()
    floors = [check for check in verdicts["evaluation"].checks if "floor" in check.name]
    floors += [check for check in verdicts["evaluation"].checks if "ceiling" in check.name]
    assert all(check.outcome is Outcome.PASS for check in floors), verdicts["evaluation"].message
    assert len(floors) == len(drafted.config.evaluation.floors)
    assert not any(check.name == "held-out rows" for check in verdicts["evaluation"].checks)
    assert verdicts["bias"].outcome is not Outcome.INSUFFICIENT, verdicts["bias"].message
    assert all(check.outcome is Outcome.PASS for check in drafted.check_leakage())


def test_few_rows_get_a_longer_hold_out_with_the_reason(tmp_path: Path) -> None:
    few, many = (draft_problem(tmp_path, "binary", n, 1) for n in (200, 1200))
    assert few.config.split.holdout > 0.3 == many.config.split.holdout
    assert few.draft.held_out >= 100
    assert "longer than 0.3, which holds out " in few.text
    assert few.config.bias.minimum_group < 100 == many.config.bias.minimum_group


def test_groups_that_no_gate_could_judge_are_refused(tmp_path: Path) -> None:
    rows, signal = add_outcome(400, 2)
    rows["y"] = np.where(signal > 0, "yes", "no")
    rows["faith"] = ["a"] * 396 + ["b", "c", "d", "e"]
    with pytest.raises(ChoiceNeeded, match="--sensitive: of faith no group has 10 held-out rows"):
        draft_frame(tmp_path, rows, "y", sensitive="faith", favourable="yes")


@pytest.mark.usefixtures("two_candidates")
@QUICK
def test_thirty_two_classes_become_a_service(tmp_path: Path) -> None:
    rows, signal = add_outcome(32 * 25, 3, noise=0.2)
    rows["y"] = pd.qcut(signal, 32, labels=False).map("class {:02}".format)
    drafted = draft_frame(tmp_path, rows, "y")
    assert drafted.config.problem == "multiclass"
    assert "size" in drafted.config.data.features
    assert drafted.release()["evaluation"].passed


def test_rare_classes_are_refused_with_the_command_that_merges_them(tmp_path: Path) -> None:
    rows, signal = add_outcome(600, 3)
    rows["y"] = pd.qcut(signal, 5, labels=False).map("class {}".format)
    rows.loc[:4, "y"], rows.loc[5:14, "y"] = "odd", "strange"
    with pytest.raises(DataInvalid) as caught:
        draft_frame(tmp_path, rows, "y")
    said = str(caught.value)
    assert "class 'odd' of 'y' has 5 rows, at least 20 needed (2 classes have fewer)" in said
    exec(said.split('-c "')[1].split('" (merge', maxsplit=1)[0])  # noqa: S102
    with pytest.raises(DataInvalid, match="class 'other' of 'y' has 15 rows"):
        draft_file(tmp_path / "rows-merged.csv", "y")


def test_limits_of_a_growing_target_are_those_that_an_honest_model_keeps() -> None:
    drafted = draft_file(CASES / "19_growing_target_split_by_time.csv", "price")
    assert drafted.config.split.by == "time"
    assert drafted.config.evaluation.floors == {}
    assert "older rows would have set a ceiling of" in drafted.text
    assert drafted.release()["evaluation"].passed
    shown = [row["at this size"] for row in describe_prospects(drafted.draft)]
    assert any("the target moves with time" in row for row in shown)


@QUICK
@pytest.mark.parametrize(("growth", "seed"), [(0.0, 0), (0.0, 1), (1.0, 0), (3.0, 1)])
def test_a_service_split_by_time_keeps_its_limits(tmp_path: Path, growth: float, seed: int) -> None:
    n = 1500
    rows, signal = add_outcome(n, seed)
    rows["sold_at"] = pd.date_range("2024-01-01", periods=n, freq="12h").strftime("%Y-%m-%d %H:%M")
    rows["price"] = ((signal + 10) * (1 + growth * np.arange(n) / n)).round(3)
    drafted = draft_frame(tmp_path, rows, "price")
    assert drafted.config.split.by == "time"
    assert drafted.release()["evaluation"].passed
    assert bool(drafted.config.evaluation.floors) is (growth == 0.0)


@pytest.mark.parametrize("seed", range(2))
def test_heavy_tails_get_no_floor_that_chance_decides(tmp_path: Path, seed: int) -> None:
    rows, signal = add_outcome(3000, seed)
    rows["y"] = np.exp(2.0 * signal).round(4)
    drafted = draft_frame(tmp_path, rows, "y")
    assert drafted.release()["evaluation"].passed


def test_an_honest_model_of_many_zeros_is_not_halted(tmp_path: Path) -> None:
    rows, signal = add_outcome(2000, 1)
    rows["y"] = np.where(signal.rank(pct=True) < 0.85, 0.0, np.exp(signal)).round(4)
    drafted = draft_frame(tmp_path, rows, "y")
    assert drafted.config.evaluation.primary == "rmse"
    assert "85% of the rows are 0: for mae this answer is the best" in drafted.text
    assert drafted.release()["evaluation"].passed


def test_newest_rows_of_one_class_are_not_held_out(tmp_path: Path) -> None:
    rows, signal = add_outcome(1000, 5)
    rows["y"] = np.where(signal > 0, "yes", "no")
    rows = rows.sort_values("y")
    rows["day"] = pd.date_range("2026-01-01", periods=1000, freq="6h").strftime("%Y-%m-%dT%H:%MZ")
    drafted = draft_frame(tmp_path, rows, "y")
    assert (drafted.config.data.time, drafted.config.split.by) == ("day", "hash")
    assert "not by day: its newest rows lack a class" in drafted.text
    verdict = drafted.release()["evaluation"]
    halts = (Outcome.FAIL, Outcome.INSUFFICIENT)
    asked = {check.name for check in verdict.checks if check.outcome in halts}
    assert asked <= {"plausibility of auc"}, "the day tells the class here, and a person is asked"
