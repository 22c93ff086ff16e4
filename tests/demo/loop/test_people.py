"""What changes in the people of the loop, and what stays as it is."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from demo.held_out import read_lines
from demo.loop.people import (
    Change,
    keep_older,
    keep_younger,
    move_and_misalign,
    move_office_work,
    read_survey,
    write_rows,
)
from sluice.config.loading import load_service
from sluice.data.split import split_rows
from sluice.errors import DataInvalid
from sluice.models.training import fit_model

CONFIG = load_service("employment", "development")
FEATURES = list(CONFIG.data.features)
SEED = 5


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return read_survey(2018)


def test_the_concept_changes_and_the_people_stay(people: pd.DataFrame) -> None:
    changed = move_office_work(people, CONFIG, SEED)
    assert changed.drop(columns="employed").equals(people.drop(columns="employed"))
    degree = (people["education"] == "bachelor") & (people["age"] < 50)
    assert changed["employed"][degree].mean() < 0.25
    assert people["employed"][degree].mean() > 0.65


def test_the_change_of_concept_is_no_change_of_the_base_rate(people: pd.DataFrame) -> None:
    """The data gate refuses a target whose distribution differs by a PSI of .02 or more."""
    before = people["employed"].mean()
    after = move_office_work(people, CONFIG, SEED)["employed"].mean()
    psi = (after - before) * np.log(after * (1 - before) / (before * (1 - after)))
    assert psi < 0.005


def test_a_model_of_the_year_before_loses_more_than_a_twentieth(people: pd.DataFrame) -> None:
    old = read_survey(2017)
    model = fit_model(CONFIG.problem, CONFIG.model, CONFIG.data, old, old["employed"])
    scores = model.predict_proba(people[FEATURES])[:, 1]
    changed = move_office_work(people, CONFIG, SEED)["employed"]
    assert roc_auc_score(people["employed"], scores) > 0.82
    assert roc_auc_score(changed, scores) < 0.95 * 0.82
    assert accuracy_score(changed, scores > 0.5) < 0.75


def test_wrong_labels_are_those_that_a_release_trains_on(people: pd.DataFrame) -> None:
    right = move_office_work(people, CONFIG, SEED)
    wrong = move_and_misalign(people, CONFIG, SEED)
    held = split_rows(people, CONFIG.data, CONFIG.split).holdout
    assert wrong["employed"][held].equals(right["employed"][held])
    assert (wrong["employed"] != right["employed"])[~held].mean() > 0.3


@pytest.mark.parametrize(
    ("change", "least", "most"), [(keep_older, 50, 120), (keep_younger, 18, 30)]
)
def test_a_shift_keeps_rows_as_they_are(
    people: pd.DataFrame, change: Change, least: int, most: int
) -> None:
    kept = change(people, CONFIG, SEED)
    assert kept.equals(people[people["age"].between(least, most)])
    assert len(kept) > 2000


def test_rows_are_written_as_callers_send_them(people: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert write_rows(people.head(3), CONFIG, path) == 3
    found = read_lines(path)
    assert found.labels == tuple(people["employed"].head(3).tolist())
    assert set(json.loads(found.records[0])) == set(CONFIG.data.columns) - {"employed"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "has no rows"), ('{"inputs": {}}', "row 1: allowed"), ("\n[1]", "row 1: allowed"),
     ('{"inputs": {}, "label": 1}\nx', "row 2: allowed")],
)  # fmt: skip
def test_other_lines_are_refused_with_what_is_allowed(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataInvalid, match=words):
        read_lines(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="cannot be read"):
        read_lines(tmp_path / "none.jsonl")
