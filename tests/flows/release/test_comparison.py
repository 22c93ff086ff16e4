"""No training row of champion or candidate is among the rows that compare them."""

from typing import Any

import pandas as pd
import pytest
from prefect import flow

from sluice.config.loading import load_service
from sluice.config.overrides import Overrides, apply_overrides
from sluice.errors import DataMissing
from sluice.home import Home
from tasks.release.release import record_release
from tasks.release.rows import read_champion_rows, read_part, split_data

pytestmark = pytest.mark.slow


@flow(persist_result=False, result_serializer="json")
def split(split_seed: int) -> dict[str, Any]:
    """Open a release, split its rows, and return the ids of each part."""
    config = apply_overrides(
        load_service("employment", "development"), Overrides(split_seed=split_seed)
    )
    with record_release(config, -1, "a split") as opened:
        parts = split_data(config, opened)
        assert opened.champion is not None
        return {
            "parts": parts,
            "trained by champion": set(read_champion_rows(config, opened.champion)),
            "training": set(read_part(config, opened, parts, "training")["person_id"]),
            "compared": set(read_part(config, opened, parts, "compared")["person_id"]),
        }


@pytest.mark.parametrize("seed", [2015, 99])
def test_compared_rows_are_new_to_both_models(stocked: Home, seed: int) -> None:
    """The seed is the champion's, or another one with which the two splits overlap."""
    found = split(seed)
    assert found["compared"]
    assert not found["compared"] & found["training"]
    assert not found["compared"] & found["trained by champion"]


def test_another_split_seed_costs_rows_that_the_champion_saw(stocked: Home) -> None:
    same, other = split(2015)["parts"], split(99)["parts"]
    assert same.compared == same.held_out
    assert other.compared < 0.5 * other.held_out


def test_champion_with_unknown_training_rows_is_refused(stocked: Home) -> None:
    """No candidate can be compared with a champion whose data version has other rows now."""
    from dataclasses import replace

    from sluice.adapters.registry.client import open_registry

    config = load_service("employment", "development")
    champion = open_registry(stocked).find_alias("employment", "champion")
    assert champion is not None
    tags = {**champion.tags, "sluice.data.content_hash": "0" * 64}
    with pytest.raises(DataMissing, match="it is unknown which rows it was trained on"):
        read_champion_rows(config, replace(champion, tags=tags))


@pytest.mark.parametrize("tag", ["sluice.data.version", "sluice.split"])
def test_champion_that_no_release_registered_is_refused_with_words(stocked: Home, tag: str) -> None:
    """Such a version serves only by a person's exception."""
    from dataclasses import replace

    from sluice.adapters.registry.client import open_registry

    config = load_service("employment", "development")
    champion = open_registry(stocked).find_alias("employment", "champion")
    assert champion is not None
    tags = {key: value for key, value in champion.tags.items() if key != tag}
    with pytest.raises(DataMissing, match=r"no data version or no split .* next: `sluice restore"):
        read_champion_rows(config, replace(champion, tags=tags))


def test_parts_are_whole(stocked: Home) -> None:
    found = split(7)
    survey = [2015, 2016]
    from sluice.home import SAMPLES

    ids = pd.concat(
        [pd.read_parquet(SAMPLES / f"acs_employment_{y}.parquet")["person_id"] for y in survey]
    )
    parts = found["parts"]
    assert parts.training + parts.held_out == len(ids)
