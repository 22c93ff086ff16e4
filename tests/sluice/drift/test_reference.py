"""The profile of a release: training rows for features and label, held-out rows for outputs."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from sluice.config.loading import load_service
from sluice.documents import parse_json
from sluice.drift.document import write_profile
from sluice.drift.performance.reference import read_reference
from sluice.drift.reference import ReleasedRows, profile_release, tabulate_outputs
from sluice.drift.rule import judge_drift, judge_slices
from sluice.home import SAMPLES
from sluice.stats.holdout import Predictions

CONFIG = load_service("employment", "development")
TABLE = pq.read_table(SAMPLES / "acs_employment_2015.parquet")
TRAINING, HELD_OUT = TABLE.slice(0, 7000), TABLE.slice(7000, 3000)
SCORES = np.random.default_rng(1).random(3000)
ROWS = ReleasedRows(
    4,
    TRAINING,
    HELD_OUT,
    HELD_OUT.to_pandas(),
    Predictions((SCORES > 0.5).astype(int), SCORES, (0, 1)),
    {"age": 0.2, "education": 0.1},
    ("ancestry",),
)
PROFILE = profile_release(CONFIG, ROWS)


def test_each_role_has_its_rows() -> None:
    rows = {one.watched.role: one.counts.rows for one in PROFILE.columns.values()}
    assert rows == {"feature": 7000, "label": 7000, "prediction": 3000}
    assert (PROFILE.service, PROFILE.data_version, PROFILE.rows) == ("employment", 4, 7000)


def test_the_profile_holds_the_performance_on_held_out_rows() -> None:
    found = read_reference(parse_json(write_profile(PROFILE)), "the profile")
    assert found is not None
    assert (found.n, found.primary) == (3000, CONFIG.evaluation.primary)
    assert found.find_figure("auc").value == pytest.approx(
        roc_auc_score(HELD_OUT["employed"].to_numpy(), SCORES)
    )
    assert found.calibration is not None


def test_every_feature_is_watched_or_says_why_not() -> None:
    features = {one.source for one in (c.watched for c in PROFILE.columns.values())}
    assert set(CONFIG.data.features) <= features | set(PROFILE.left_out)
    assert list(PROFILE.left_out) == ["ancestry"]


def test_slices_have_features_outputs_and_label() -> None:
    one_sex = next(one for name, one in PROFILE.parts.items() if name.startswith("sex="))
    assert set(one_sex.columns) == set(PROFILE.columns)
    assert one_sex.columns["(score)"].rows < 3000
    assert all(one.rows >= CONFIG.evaluation.slices.minimum for one in PROFILE.parts.values())


def test_held_out_rows_with_their_outputs_are_clean() -> None:
    window = HELD_OUT
    outputs = tabulate_outputs(ROWS.predictions)
    for name in outputs.column_names:
        window = window.append_column(name, outputs.column(name))
    counted = PROFILE.count_part(window)
    found = judge_drift(PROFILE, counted)
    outcomes = {kind: one.outcome for kind, one in found.items()}
    assert outcomes == dict.fromkeys(("data", "prediction", "label", "upstream"), "clean")
    assert not any(one.alarmed for one in judge_slices(PROFILE, counted))


@pytest.mark.parametrize(
    ("predictions", "names"),
    [
        (Predictions(np.array([1.5, 2.5])), ["(prediction)"]),
        (Predictions(np.array([0, 1]), np.array([0.2, 0.7]), (0, 1)), ["(prediction)", "(score)"]),
        (
            Predictions(np.array(["a", "b"]), np.array([[0.6, 0.4], [0.1, 0.9]]), ("a", "b")),
            ["(prediction)", "(score of a)", "(score of b)"],
        ),
    ],
)
def test_outputs_are_columns(predictions: Predictions, names: list[str]) -> None:
    found = tabulate_outputs(predictions)
    assert found.column_names == names
    assert not any(pa.types.is_null(one.type) for one in found.columns)
