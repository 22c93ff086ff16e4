"""Dates, words and means of the target as numbers: known values, and laws that any row keeps."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sluice.config.data import DataConfig
from sluice.models.calendar import DAY, NAMES, read_moment, split_moment, split_moments
from sluice.models.encoders.dates import DateEncoder
from sluice.models.encoders.texts import NgramEncoder, TextEncoder
from sluice.models.features import build_tree_features

LEAP = datetime(2024, 2, 29, 18, 30, tzinfo=UTC)


def test_a_moment_has_the_numbers_of_its_calendar() -> None:
    found = dict(zip(NAMES["date"], split_moment(LEAP.timestamp(), "date", 0.0), strict=True))
    assert (found["year"], found["month"], found["day"]) == (2024, 2, 29)
    assert (found["weekday"], found["hour"]) == (3, 18.5)  # a Thursday
    assert (found["hour_sin"], found["hour_cos"]) == pytest.approx((-1.0, 0.0))
    assert found["age"] == -LEAP.timestamp() / DAY


@given(st.floats(-1e11, 1e12) | st.just(float("nan")), st.floats(-1e10, 1e10))
def test_one_moment_has_the_numbers_of_many(seconds: float, reference: float) -> None:
    for encoding in NAMES:
        many = split_moments(np.array([seconds, 0.0]), encoding, reference)
        np.testing.assert_array_equal(many[0], split_moment(seconds, encoding, reference))


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)))
def test_the_numbers_are_those_of_the_standard_library(moment: datetime) -> None:
    found = split_moment(read_moment(moment), "date", 0.0)
    expected = (moment.month, moment.day, moment.weekday(), moment.year)
    assert (found[0], found[1], found[2], found[-2]) == expected
    assert int(found[3]) == moment.hour


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-02-29", LEAP.replace(hour=0, minute=0)),
        (" 2024-02-29T20:30:00+02:00 ", LEAP),
        (date(2024, 2, 29), LEAP.replace(hour=0, minute=0)),
        (pd.Timestamp(LEAP), LEAP),
    ],
)
def test_moments_of_every_form_are_read(value: object, expected: datetime) -> None:
    assert read_moment(value) == expected.timestamp()


@pytest.mark.parametrize("value", [None, pd.NaT, pd.NA, float("nan"), "", "soon", 20240229, True])
def test_what_is_no_moment_is_null(value: object) -> None:
    assert np.isnan(read_moment(value))


def test_ages_count_to_the_time_of_the_row_else_to_the_newest_training_row() -> None:
    hired = pd.to_datetime(["2020-01-01", "2020-01-11", None], utc=True)
    seen = pd.to_datetime(["2020-01-31", None, "2020-01-31"], utc=True)
    frame = pd.DataFrame({"hired": hired, "seen": seen})
    with_time = DateEncoder("date", "seen").fit_transform(frame)
    assert with_time[:2, -1].tolist() == [30.0, 0.0]
    assert np.isnan(with_time[2]).all()
    encoder = DateEncoder("date").fit(frame[["hired"]])
    later = pd.DataFrame({"hired": pd.to_datetime(["2020-01-21"], utc=True)})
    assert encoder.transform(later)[0, -1] == -10.0
    assert encoder.get_feature_names_out().tolist()[-1] == "hired_age"


def test_no_row_has_its_own_target_in_its_mean() -> None:
    """Means of all rows would tell the target of a value that comes twice: .9 and more."""
    draw = np.random.default_rng(4)
    frame = pd.DataFrame({"shop": [f"s{at}" for at in draw.integers(0, 400, 800)]}, dtype="str")
    y = draw.integers(0, 2, 800)
    data = DataConfig(
        id="row", target="y", columns={"row": "integer", "y": "integer", "shop": "text"},
        features=("shop",), suite="none", encodings={"shop": "target"},
    )  # fmt: skip
    features = build_tree_features(data, "binary")
    own = features.fit_transform(frame, y)[:, 0]
    assert roc_auc_score(y, own) < 0.6
    assert roc_auc_score(y, features.transform(frame)[:, 0]) > 0.8


def test_texts_without_a_known_word_are_zeros_and_alike_texts_are_near() -> None:
    texts = ["late and broken", "quick and kind", "late again", "kind again"] * 10
    encoder = TextEncoder().fit(pd.DataFrame({"note": pd.Series(texts, dtype="str")}))
    asked = ["late", "Late, BROKEN!", "kind", "", None, "unheard"]
    found = encoder.transform(pd.DataFrame({"note": pd.Series(asked, dtype="str")}))
    assert np.abs(found[3:]).sum() == 0.0
    assert found[0] @ found[1] > found[0] @ found[2]
    assert len(encoder.get_feature_names_out()) == found.shape[1]


def test_ngrams_give_each_run_of_letters_a_column() -> None:
    texts = ["late and broken", "quick and kind", "late again", "kind again"] * 10
    encoder = NgramEncoder().fit(pd.DataFrame({"note": pd.Series(texts, dtype="str")}))
    [runs] = encoder.runs_
    assert {" l", "late ", "at"} <= set(runs.vocabulary_)
    assert "late again" not in runs.vocabulary_
    asked = pd.DataFrame({"note": pd.Series(["l4te ag4in", "unheard", "", None], dtype="str")})
    found = encoder.transform(asked)
    assert found.shape[1] == len(encoder.get_feature_names_out())
    lengths = np.sqrt(np.square(found.toarray()).sum(axis=1)).tolist()
    assert lengths == pytest.approx([1.0, 1.0, 0.0, 0.0])


def test_a_column_without_a_common_word_is_one_zero() -> None:
    frame = pd.DataFrame({"note": pd.Series(["a b", "c d", None], dtype="str")})
    assert TextEncoder().fit_transform(frame).tolist() == [[0.0], [0.0], [0.0]]
