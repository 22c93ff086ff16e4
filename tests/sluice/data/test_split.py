import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency, chisquare

from sluice.config.data import DataConfig, SplitConfig
from sluice.data.split import comparison_mask, split_rows
from sluice.errors import DataInvalid, TrainingImpossible

DATA = DataConfig.model_validate(
    {
        "id": "id",
        "time": "year",
        "target": "y",
        "suite": "none",
        "columns": {
            "id": "integer",
            "year": "integer",
            "house": "text",
            "y": "integer",
        },
        "features": ["house"],
    }
)


def make_rows(
    ids: list[int] | np.ndarray, years: object = 2015, house: object = "a"
) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "year": years, "house": house, "y": 0})


def test_hash_holds_out_the_share_for_every_seed() -> None:
    rows = make_rows(np.arange(20_000))
    for seed in range(5):
        split = split_rows(rows, DATA, SplitConfig(holdout=0.3, seed=seed))
        assert binomtest(split.holdout_rows, 20_000, 0.3).pvalue > 1e-4


def test_hash_spreads_ids_evenly() -> None:
    rows = make_rows(np.arange(20_000))
    shares = np.linspace(0.1, 0.8, 8)
    sides = [split_rows(rows, DATA, SplitConfig(holdout=share)).holdout for share in shares]
    buckets = np.diff([0, *(side.sum() for side in sides)])
    assert chisquare(buckets).pvalue > 1e-4


def test_two_seeds_are_independent() -> None:
    rows = make_rows(np.arange(20_000))
    one = split_rows(rows, DATA, SplitConfig(seed=1)).holdout
    two = split_rows(rows, DATA, SplitConfig(seed=2)).holdout
    table = [[int((one & two).sum()), int((one & ~two).sum())]]
    table.append([int((~one & two).sum()), int((~one & ~two).sum())])
    assert chi2_contingency(table).pvalue > 1e-4


def test_a_larger_share_only_adds_rows() -> None:
    rows = make_rows(np.arange(2_000))
    small = split_rows(rows, DATA, SplitConfig(holdout=0.2)).holdout
    large = split_rows(rows, DATA, SplitConfig(holdout=0.5)).holdout
    assert not (small & ~large).any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=40, max_size=80, unique=True), st.randoms())
def test_order_of_rows_changes_no_side(ids: list[int], random: object) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    config = SplitConfig(holdout=0.5, seed=9)
    first = dict(zip(ids, split_rows(make_rows(ids), DATA, config).holdout, strict=True))
    again = dict(zip(shuffled, split_rows(make_rows(shuffled), DATA, config).holdout, strict=True))
    assert first == again


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(), min_size=1, max_size=200))
def test_added_rows_change_no_side(later: set[int]) -> None:
    ids = np.arange(60)
    config = SplitConfig(holdout=0.5)
    before = split_rows(make_rows(ids), DATA, config).holdout
    grown = [*ids.tolist(), *(number % 10**9 + 1_000 for number in later)]
    assert (split_rows(make_rows(grown), DATA, config).holdout[:60] == before).all()


def test_known_ids_stay_on_their_sides() -> None:
    is_held_out = split_rows(
        make_rows(np.arange(20)), DATA, SplitConfig(holdout=0.3, seed=2015)
    ).holdout
    assert np.flatnonzero(is_held_out).tolist() == [3, 8, 9, 10, 13, 18]


def test_the_same_id_hashes_alike_in_any_storage_type() -> None:
    config = SplitConfig(holdout=0.5)
    sides = [
        split_rows(make_rows(np.arange(200).astype(kind)), DATA, config).holdout.tolist()
        for kind in ("int64", "int32", "float64")
    ]
    assert sides[0] == sides[1] == sides[2]


def test_text_and_number_of_the_same_spelling_are_different_ids() -> None:
    texts = DATA.model_copy(update={"columns": {**DATA.columns, "id": "text"}})
    config = SplitConfig(holdout=0.5)
    numbers = split_rows(make_rows(np.arange(200)), DATA, config).holdout
    spelled = split_rows(make_rows([str(i) for i in range(200)]), texts, config).holdout
    assert (numbers != spelled).any()


def test_rows_of_a_group_stay_together() -> None:
    rows = make_rows(np.arange(1_000), house=[f"h{i % 100}" for i in range(1_000)])
    split = split_rows(rows, DATA, SplitConfig(holdout=0.4, group="house"))
    assert rows.assign(held=split.holdout).groupby("house")["held"].nunique().max() == 1


def test_time_holds_out_the_newest_and_splits_no_period() -> None:
    years = np.repeat([2015, 2016, 2017, 2018], [400, 300, 200, 100])
    split = split_rows(make_rows(np.arange(1_000), years), DATA, SplitConfig(by="time"))
    assert set(years[split.holdout]) == {2017, 2018}
    assert split.share == pytest.approx(0.3)
    assert split.boundary == "2017"


def test_time_reports_the_realised_share() -> None:
    years = np.repeat([2015, 2016], [500, 500])
    split = split_rows(make_rows(np.arange(1_000), years), DATA, SplitConfig(by="time"))
    assert (split.configured_share, split.share) == (0.3, 0.5)


def test_time_takes_a_group_whole_by_its_newest_row() -> None:
    rows = make_rows([1, 2, 3, 4], [2015, 2016, 2015, 2015], ["a", "a", "b", "b"])
    split = split_rows(rows, DATA, SplitConfig(by="time", group="house", holdout=0.5))
    assert split.holdout.tolist() == [True, True, False, False]


def test_one_period_cannot_be_split_by_time() -> None:
    with pytest.raises(TrainingImpossible, match="one value only"):
        split_rows(make_rows(np.arange(9)), DATA, SplitConfig(by="time"))


def test_null_groups_are_refused() -> None:
    rows = make_rows(np.arange(4), house=["a", None, "b", None])
    with pytest.raises(DataInvalid, match=r"'house', which is null in 2 of 4"):
        split_rows(rows, DATA, SplitConfig(group="house"))


def test_an_absent_column_is_named() -> None:
    with pytest.raises(DataInvalid, match="column 'year'"):
        split_rows(pd.DataFrame({"id": [1, 2]}), DATA, SplitConfig(by="time"))


def test_no_rows_are_refused() -> None:
    with pytest.raises(TrainingImpossible, match="no rows"):
        split_rows(make_rows([]), DATA, SplitConfig())


def test_a_side_without_rows_is_refused() -> None:
    with pytest.raises(TrainingImpossible, match="leaves no held-out row"):
        split_rows(make_rows([1]), DATA, SplitConfig())


def test_rows_that_the_champion_trained_on_are_never_compared() -> None:
    ids = np.arange(1_000)
    split = split_rows(make_rows(ids), DATA, SplitConfig(seed=1))
    trained = ids[~split_rows(make_rows(ids), DATA, SplitConfig(seed=2)).holdout]
    mask = comparison_mask(split, ids, trained)
    assert not set(ids[mask]) & set(trained)
    assert not (mask & split.training).any()
    assert mask.sum() == (split.holdout & ~np.isin(ids, trained)).sum()


def test_without_a_champion_every_held_out_row_is_compared() -> None:
    ids = np.arange(100)
    split = split_rows(make_rows(ids), DATA, SplitConfig())
    assert (comparison_mask(split, ids, None) == split.holdout).all()


def test_ids_of_another_kind_are_refused() -> None:
    ids = np.arange(100)
    split = split_rows(make_rows(ids), DATA, SplitConfig())
    with pytest.raises(DataInvalid, match="ids are number here and string"):
        comparison_mask(split, ids, np.array(["1", "2"], dtype=object))


def make_years(rows: int = 3_000) -> pd.DataFrame:
    return make_rows(np.arange(rows), np.repeat([2015, 2016, 2017], rows // 3))


def test_only_the_newest_training_rows_train_and_no_held_out_row_moves() -> None:
    rows = make_years()
    every = split_rows(rows, DATA, SplitConfig())
    newest = split_rows(rows, DATA, SplitConfig(recent=100))
    assert (newest.holdout == every.holdout).all()
    assert (newest.training == (every.training & (rows["year"] == 2017))).all()


def test_rows_of_one_time_train_together() -> None:
    split = split_rows(make_years(), DATA, SplitConfig(recent=800))
    assert set(make_years()["year"][split.training]) == {2016, 2017}


def test_more_recent_rows_than_there_are_is_all_of_them() -> None:
    rows = make_years()
    split = split_rows(rows, DATA, SplitConfig(recent=100_000))
    assert (split.training == split_rows(rows, DATA, SplitConfig()).training).all()


def test_newest_training_rows_of_a_split_by_time_are_those_before_the_held_out_ones() -> None:
    split = split_rows(make_years(), DATA, SplitConfig(by="time", holdout=0.33, recent=100))
    assert set(make_years()["year"][split.training]) == {2016}


def test_a_time_in_which_no_training_row_is_halts() -> None:
    config = DATA.model_copy(update={"columns": {**DATA.columns, "year": "timestamp"}})
    times = pd.date_range("2015-01-01", periods=4, freq="365D")
    rows = make_rows(np.arange(1_000), np.repeat(times, 250))
    with pytest.raises(TrainingImpossible, match=r"no training row is so new"):
        split_rows(rows, config, SplitConfig(by="time", holdout=0.25, recent="30 d"))
    kept = split_rows(rows, config, SplitConfig(by="time", holdout=0.25, recent="400 d"))
    assert rows["year"][kept.training].unique().tolist() == [times[2]]
