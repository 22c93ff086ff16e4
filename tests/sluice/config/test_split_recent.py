"""`split.recent` names the newest training rows, and needs a column that orders the rows."""

from typing import Any

import pytest
from pydantic import ValidationError

from sluice.config.data import SplitConfig
from sluice.config.loading import dump_service, load_service
from sluice.config.service import ServiceConfig


def configure(recent: Any, time: str = "survey_year", kind: str = "integer") -> ServiceConfig:
    values = load_service("employment", "development").model_dump(mode="json")
    values["data"]["time"] = time
    values["data"]["columns"]["survey_year"] = kind
    values["split"]["recent"] = recent
    return ServiceConfig.model_validate(values)


@pytest.mark.parametrize("recent", ["365 d", 50_000])
def test_it_is_a_time_or_a_number_of_rows(recent: Any) -> None:
    config = SplitConfig(recent=recent)
    assert SplitConfig.model_validate_json(config.model_dump_json()) == config
    assert configure(recent, kind="timestamp").split.recent == recent


@pytest.mark.parametrize("recent", ["365", "0 d", 99, True, 2.5, None])
def test_anything_else_is_refused_with_what_is_allowed(recent: Any) -> None:
    with pytest.raises(ValidationError, match=r"allowed: a time such as 90 d .* a number of rows"):
        SplitConfig(recent=recent)


def test_a_time_needs_a_column_of_timestamps() -> None:
    with pytest.raises(ValidationError, match=r"'survey_year' \(data.time\) is integer; allowed"):
        configure("365 d")


def test_without_a_time_column_it_is_unknown_which_rows_are_new() -> None:
    with pytest.raises(
        ValidationError, match=r"data\.time names no column.*leave split\.recent out"
    ):
        configure(1000, time="")


def test_folds_train_on_every_row() -> None:
    with pytest.raises(ValidationError, match="found `1000` with 5 folds"):
        SplitConfig(folds=5, recent=1000)


def test_a_service_without_it_keeps_its_hash() -> None:
    assert "recent" not in dump_service(load_service("employment", "development"))
    assert "recent" not in SplitConfig().model_dump_json()
