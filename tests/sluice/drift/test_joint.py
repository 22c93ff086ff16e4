"""The domain classifier finds what no column shows, and nothing where nothing is."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sluice.drift.joint import bound_auc, compare_rows
from sluice.drift.rule import judge_drift
from support.drift import draw_normal, make_profile, make_table

N = 1500


def draw_pair(seed: int, correlation: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    covariance = [[1.0, correlation], [correlation, 1.0]]
    pair = random.multivariate_normal([0.0, 0.0], covariance, N)
    return {"a": pair[:, 0], "b": pair[:, 1], "noise": random.normal(size=N)}


REFERENCE = draw_pair(1, 0.8)
PROFILE = make_profile(REFERENCE)
TABLE = make_table(REFERENCE)


def test_a_change_of_correlation_is_found_by_it_and_by_no_column() -> None:
    current = make_table(draw_pair(2, -0.8))
    found = compare_rows(PROFILE, TABLE, current)
    assert found.outcome == "alarm"
    assert {one.column for one in found.carriers[:2]} == {"a", "b"}
    assert judge_drift(PROFILE, PROFILE.count_part(current))["data"].outcome == "clean"


def test_the_most_unlike_rows_are_those_off_the_reference() -> None:
    columns = draw_pair(3, 0.8)
    columns["a"][:200], columns["b"][:200] = 3.0, -3.0
    found = compare_rows(PROFILE, TABLE, make_table(columns))
    assert all(place < 200 for place, _ in found.unlike)
    assert all(0.0 <= score <= 1.0 for _, score in found.unlike)


def test_the_same_distribution_is_clean() -> None:
    found = compare_rows(PROFILE, TABLE, make_table(draw_pair(4, 0.8)))
    assert found.outcome == "clean"
    assert found.auc == pytest.approx(0.5, abs=0.05)
    assert found.bounds is not None
    assert found.bounds[0] < 0.5 < found.bounds[1] or found.bounds[0] <= 0.55


def test_many_levels_of_one_distribution_are_clean() -> None:
    """The most frequent levels of the reference are partly so by chance."""
    areas = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        drawn = [[f"c{at}" for at in random.integers(0, 400, rows)] for rows in (4_000, 800)]
        tables = [make_table({"city": one}) for one in drawn]
        areas.append(compare_rows(make_profile({"city": drawn[0]}), *tables).auc)
    assert np.mean([one for one in areas if one is not None]) < 0.52


def test_rows_that_come_again_are_not_recognised() -> None:
    """A caller who sends each record three times does not change the distribution."""
    few = {name: np.repeat(values[:500], 3) for name, values in draw_pair(6, 0.8).items()}
    found = compare_rows(PROFILE, TABLE, make_table(few))
    assert found.auc == pytest.approx(0.5, abs=0.05)


def test_a_frequent_row_is_a_pattern() -> None:
    """Two levels that always agreed and now differ: four kinds of rows in all."""
    random = np.random.default_rng(1)
    a = random.integers(0, 2, N)
    same, mixed = {"a": a, "b": a}, {"a": a, "b": random.integers(0, 2, N)}
    found = compare_rows(make_profile(same), make_table(same), make_table(mixed))
    assert found.outcome == "alarm"


def test_few_rows_are_not_judged() -> None:
    found = compare_rows(PROFILE, TABLE, TABLE.slice(0, 499))
    assert (found.outcome, found.auc) == ("not judged", None)
    assert found.reason == "not enough data: 499 rows, 500 needed"


def test_rows_without_a_feature_in_common_are_not_judged() -> None:
    found = compare_rows(PROFILE, TABLE, make_table({"other": [1.0] * N}))
    assert (found.outcome, found.reason) == (
        "not judged",
        "both sides have no feature of the profile in common",
    )


def test_levels_and_nulls_are_features_too() -> None:
    cities = np.array(["a", "b", None] * 500)
    profile = make_profile({"city": cities, "x": draw_normal(1, N)})
    now = np.where(np.arange(N) % 10 == 0, "new", cities)
    columns = [{"city": one, "x": draw_normal(seed, N)} for seed, one in ((2, cities), (3, now))]
    tables = [make_table(one) for one in columns]
    found = compare_rows(profile, *tables)
    assert found.carriers[0].column == "city"


def test_the_interval_is_delongs() -> None:
    """Placements by their definition: the variance of each side's, by n - 1, over n."""
    random = np.random.default_rng(5)
    positive = random.random(300) < 0.4
    scores = np.round(random.normal(size=300) + positive, 1)
    ours, low, high = bound_auc(positive, scores)
    hits, others = scores[positive], scores[~positive]
    beats = (hits[:, None] > others) + 0.5 * (hits[:, None] == others)
    variance = beats.mean(axis=1).var(ddof=1) / len(hits) + beats.mean(axis=0).var(ddof=1) / len(
        others
    )
    assert ours == pytest.approx(roc_auc_score(positive, scores))
    assert (high - low) / 2 == pytest.approx(2.3263478740408408 * np.sqrt(variance))
