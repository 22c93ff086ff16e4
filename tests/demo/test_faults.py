"""Each planted fault changes what its name says and nothing else."""

import numpy as np
import pandas as pd
import pytest

from demo.faults import FAULTS, assume_homemakers, leak_target, misalign_labels
from sluice.config.loading import load_service
from sluice.data.split import split_rows
from sluice.home import SAMPLES

CONFIG = load_service("employment", "development")


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    return pd.read_parquet(SAMPLES / "acs_employment_2017.parquet")


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_fault_keeps_rows_and_columns(survey: pd.DataFrame, name: str) -> None:
    broken = FAULTS[name](survey, CONFIG, 1)
    assert list(broken.columns) == list(survey.columns)
    assert broken["person_id"].equals(survey["person_id"])
    assert not broken.equals(survey)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_fault_is_the_same_for_the_same_seed(survey: pd.DataFrame, name: str) -> None:
    assert FAULTS[name](survey, CONFIG, 3).equals(FAULTS[name](survey, CONFIG, 3))


def test_leak_keeps_every_share_and_touches_one_column(survey: pd.DataFrame) -> None:
    leaked = leak_target(survey, CONFIG, 1)
    changed = [name for name in survey if not leaked[name].equals(survey[name])]
    assert changed == ["ancestry"]
    shares = [frame["ancestry"].value_counts().sort_index() for frame in (leaked, survey)]
    assert shares[0].equals(shares[1])


def test_misaligned_labels_spare_the_held_out_rows(survey: pd.DataFrame) -> None:
    wrong = misalign_labels(survey, CONFIG, 1)
    held = split_rows(survey, CONFIG.data, CONFIG.split).holdout
    assert np.array_equal(wrong.loc[held, "employed"], survey.loc[held, "employed"])
    assert (wrong.loc[~held, "employed"] != survey.loc[~held, "employed"]).mean() > 0.3


def test_homemakers_change_only_married_people(survey: pd.DataFrame) -> None:
    recoded = assume_homemakers(survey, CONFIG, 1)
    single = survey["marital_status"] != "married"
    assert recoded[single].equals(survey[single])
