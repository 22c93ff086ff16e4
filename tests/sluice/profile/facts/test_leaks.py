"""Leaks are left out with the reason and the cost; honest strong features stay."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.data.leakage import estimate_power
from sluice.errors import ChoiceNeeded
from sluice.profile.facts.leaks import find_leaks
from sluice.profile.limits import describe_cost, is_implausible
from sluice.verdict import Outcome
from support.releases.drafts import CASES, draft_file, draft_frame, draw_rows

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("two_candidates")]  # whole drafts

N = 1500


def add_target(problem: str, n: int = N, seed: int = 3) -> tuple[pd.DataFrame, Any]:
    """Return rows with a noisy target `y`, and the target as whole numbers or ranks."""
    rows, random = draw_rows(n, seed), np.random.default_rng(seed)
    signal = rows["size"] + 0.5 * rows["weight"] + random.normal(size=n)
    if problem == "regression":
        rows["y"] = np.exp(2.5 * signal).round(4)  # skewed: bins explain little of a copy
        return rows, rows["y"]
    classes = 2 if problem == "binary" else 4
    codes = pd.qcut(signal, classes, labels=False)
    rows["y"] = codes.map(lambda code: f"class {code}")
    return rows, codes


def plant_leak(kind: str, target: Any, random: np.random.Generator) -> Any:
    """Return a column that nobody knows before the outcome."""
    ranks = pd.Series(target).rank(method="dense").to_numpy()
    last = ranks == ranks.max() if len(np.unique(ranks)) < 10 else ranks > np.median(ranks)
    return {
        "copy": target,
        "code": -3 * ranks + 7,
        "noisy number": ranks + random.normal(scale=0.01, size=len(ranks)),
        "text": [f"label {rank}" for rank in ranks] if len(np.unique(ranks)) < 10 else target,
        "filled in after": np.where(last, random.normal(size=len(ranks)).round(3), np.nan),
    }[kind]


KINDS = [
    (problem, kind)
    for problem in ("binary", "multiclass", "regression")
    for kind in ("copy", "code", "noisy number", "text", "filled in after")
    if (problem, kind) != ("regression", "filled in after")  # half the rows tell no number
]


@pytest.mark.parametrize(("problem", "kind"), KINDS)
def test_real_leaks_are_left_out_and_halt_the_data_gate(
    tmp_path: Path, problem: str, kind: str
) -> None:
    rows, target = add_target(problem)
    rows["afterwards"] = plant_leak(kind, target, np.random.default_rng(1))
    drafted = draft_frame(tmp_path, rows, "y")
    assert "afterwards" not in drafted.config.data.features
    assert drafted.draft.left_out["afterwards"].startswith("target leakage: power")
    power = estimate_power(rows["afterwards"], rows["y"], problem)  # type: ignore[arg-type]
    assert power is not None
    assert power[0] > drafted.config.data.leakage.limit


@pytest.mark.parametrize("flipped", [0.01, 0.03, 0.05])
def test_a_code_with_errors_is_a_leak(tmp_path: Path, flipped: float) -> None:
    rows, target = add_target("binary")
    random = np.random.default_rng(2)
    rows["status"] = np.where(random.random(N) < flipped, 1 - target, target)
    drafted = draft_frame(tmp_path, rows, "y")
    assert "only 2 different values: they may code the outcome" in drafted.draft.left_out["status"]


def test_features_that_separate_one_class_of_several_are_kept() -> None:
    drafted = draft_file(CASES / "13_multiclass_honest_features.csv", "species")
    assert {"culmen_mm", "flipper_mm"} <= set(drafted.config.data.features)
    assert not any(check.outcome is Outcome.FAIL for check in drafted.check_leakage())
    assert drafted.release()["evaluation"].passed


def make_penguins(n: int = 400) -> pd.DataFrame:
    """Return four measurements of three species, with the means and spreads of the real ones."""
    random = np.random.default_rng(11)
    kinds = random.integers(0, 3, n)
    means = np.array([[38.8, 18.3, 190, 3700], [48.8, 18.4, 196, 3733], [47.5, 15.0, 217, 5076]])
    spreads = np.array([[2.7, 1.2, 6.5, 460], [3.3, 1.1, 7.1, 384], [3.1, 1.0, 6.5, 504]])
    values = means[kinds] + spreads[kinds] * random.normal(size=(n, 4))
    rows = pd.DataFrame(values.round(1), columns=["bill_length", "bill_depth", "flipper", "mass"])
    rows["species"] = np.array(["adelie", "chinstrap", "gentoo"])[kinds]
    return rows.rename_axis("row_id").reset_index()


def test_measurements_of_penguins_are_features(tmp_path: Path) -> None:
    drafted = draft_frame(tmp_path, make_penguins(), "species")
    assert len(drafted.config.data.features) == 4
    assert drafted.config.data.leakage.allowed == ()


def test_measurements_of_leaves_of_many_species_are_features(tmp_path: Path) -> None:
    """Species differ in shape, so each is far from the rest in some measurement."""
    random = np.random.default_rng(4)
    kinds = random.integers(0, 12, 900)
    centers = random.normal(size=(12, 5)) * 6
    rows = pd.DataFrame(
        (centers[kinds] + random.normal(size=(900, 5))).round(3), columns=list("abcde")
    )
    rows["leaf"] = [f"species {kind}" for kind in kinds]
    drafted = draft_frame(tmp_path, rows.rename_axis("row_id").reset_index(), "leaf")
    assert set(drafted.config.data.features) == set("abcde")


def test_a_strong_measurement_is_kept_and_said(tmp_path: Path) -> None:
    """Weight decides the price of a stone nearly alone, and is no leak."""
    rows = draw_rows(N)
    random = np.random.default_rng(8)
    rows["carat"] = random.gamma(4, 0.3, N).round(3)
    rows["price"] = (4000 * rows["carat"] + 550 * random.normal(size=N)).round(2)
    drafted = draft_frame(tmp_path, rows, "price")
    assert "carat" in drafted.config.data.features
    assert drafted.config.data.leakage.allowed == ("carat",)
    (strong,) = drafted.draft.strong
    assert strong.kept
    assert strong.doubtful
    (check,) = (check for check in drafted.check_leakage() if check.name.endswith("carat"))
    assert check.outcome is Outcome.LISTED


def test_power_that_vanishes_on_the_newest_rows_is_a_leak(tmp_path: Path) -> None:
    rows, target = add_target("binary")
    random = np.random.default_rng(5)
    day = pd.date_range("2026-01-01", periods=N, freq="6h")
    rows["day"] = day.strftime("%Y-%m-%dT%H:%M:%SZ")
    known = target + random.normal(scale=0.45, size=N)
    rows["visits"] = np.where(np.arange(N) < 0.7 * N, known, random.normal(size=N)).round(3)
    drafted = draft_frame(tmp_path, rows, "y")
    assert drafted.config.split.by == "time"
    assert "on older rows" in drafted.draft.left_out["visits"]
    assert "filled in after the outcome" in drafted.draft.left_out["visits"]


def test_what_is_left_out_has_its_cost(tmp_path: Path) -> None:
    rows, target = add_target("binary")
    rows["afterwards"] = target
    rows["sex"] = np.random.default_rng(6).choice(["female", "male"], N)
    drafted = draft_frame(tmp_path, rows, "y", sensitive="sex", favourable="class 0")
    costs = {cost.columns: cost for cost in drafted.draft.costs}
    assert set(costs) == {("afterwards",), ("sex",)}
    assert costs["afterwards",].with_them > 0.99 > costs["afterwards",].without
    assert describe_cost(costs["afterwards",]) in drafted.text
    assert abs(costs["sex",].with_them - costs["sex",].without) < 0.02


def test_a_leak_that_a_person_checked_is_kept(tmp_path: Path) -> None:
    rows, target = add_target("binary")
    rows["status"] = target
    drafted = draft_frame(tmp_path, rows, "y", keep="status")
    assert "status" in drafted.config.data.features
    assert drafted.config.data.leakage.allowed == ("status",)
    with pytest.raises(ChoiceNeeded, match="--keep: no column 'stati'"):
        draft_frame(tmp_path, rows, "y", keep="stati")


def test_several_columns_that_tell_the_outcome_together_are_said() -> None:

    drafted = draft_file(CASES / "21_leak_of_two_columns.csv", "late")
    assert is_implausible(drafted.draft.trial.primary)
    honest = draft_file(CASES / "14_positive_is_harmful.csv", "churned")
    assert not is_implausible(honest.draft.trial.primary)


def test_a_column_that_only_newer_rows_have_is_left_out_with_the_reason() -> None:
    drafted = draft_file(CASES / "late-column.csv", "y")
    reason = drafted.draft.left_out["late"]
    assert reason == "filled in 0 of 1,400 training rows: only newer rows have it"
    assert f'# not "late": {reason}' in drafted.text
    assert drafted.release()["evaluation"].passed


@pytest.mark.parametrize("problem", ["binary", "regression"])
@pytest.mark.parametrize("seed", range(3))
def test_a_feature_that_more_rows_show_above_the_limit_halts_no_later_batch(
    tmp_path: Path, problem: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x, noise = random.normal(size=6_000), random.normal(size=(6_000, 2))
    y: Any = x + (0.3 if problem == "regression" else 0.5) * noise[:, 0]
    if problem == "binary":
        y = np.where(y > 0, "yes", "no")
    rows = pd.DataFrame({"id": np.arange(6_000), "x": x, "z": noise[:, 1], "y": y})
    drafted = draft_frame(tmp_path, rows.head(240), "y")
    limits = drafted.config.data.leakage
    power = estimate_power(rows["x"], rows["y"], problem)  # type: ignore[arg-type]
    assert power is not None
    assert power[0] > limits.limit
    assert limits.allowed == ("x",)
    assert "x" in drafted.config.data.features


def test_a_column_that_the_trial_has_only_in_its_newest_rows_is_left_out(tmp_path: Path) -> None:
    rows, _ = add_target("binary")
    rows["day"] = pd.date_range("2026-01-01", periods=N, tz="UTC").astype("datetime64[us, UTC]")
    rows["answered"] = np.where(np.arange(N) >= 0.55 * N, rows["size"].round(1), np.nan)
    drafted = draft_frame(tmp_path, rows, "y")
    assert drafted.draft.split.by == "time"
    assert "only newer rows have it" in drafted.draft.left_out["answered"]


@pytest.mark.parametrize(
    ("classes", "gaps", "kept"),
    [(12, False, True), (3, False, False), (12, True, False)],
    ids=["a trait of one of many", "a code of one of few", "filled in for one class"],
)
def test_a_value_of_one_of_many_classes_is_a_trait(classes: int, gaps: bool, kept: bool) -> None:
    places = np.random.default_rng(2).integers(0, classes, 2_400)
    rest = None if gaps else "smooth"
    rows = pd.DataFrame(
        {
            "y": [f"species {place}" for place in places],
            "edge": pd.Series(np.where(places == 0, "toothed", rest), dtype=object),
            "size": np.random.default_rng(3).normal(size=len(places)),
        }
    )
    found = find_leaks(rows, None, ("edge", "size"), "y", "multiclass")
    assert [item.name for item in found.strong] == ["edge"]
    assert found.allowed == (("edge",) if kept else ())
    if kept:
        assert "over all 12 classes: a trait" in found.strong[0].reason
        assert found.strong[0].doubtful
