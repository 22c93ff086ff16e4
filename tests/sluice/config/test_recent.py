"""`evaluation.recent` names a time or a number of rows, and needs a column that orders the rows."""

from typing import Any

import pytest
from pydantic import ValidationError

from sluice.config.evaluation import EvaluationConfig
from sluice.config.loading import dump_service, load_service
from sluice.config.service import ServiceConfig


def configure(time: str = "survey_year", recent: Any = 3000, kind: str = "integer") -> Any:
    values = load_service("employment", "development").model_dump(mode="json")
    values["data"]["time"] = time
    values["data"]["columns"]["survey_year"] = kind
    values["evaluation"]["recent"] = recent
    return ServiceConfig.model_validate(values)


@pytest.mark.parametrize(
    ("recent", "seconds", "rows"),
    [("90 d", 7_776_000.0, None), ("36h", 129_600.0, None), ("1.5 w", 907_200.0, None),
     (3000, None, 3000), ("", None, None)],
)  # fmt: skip
def test_recent_is_a_time_or_a_number_of_rows(
    recent: Any, seconds: float | None, rows: int | None
) -> None:
    config = EvaluationConfig(primary="auc", recent=recent)
    assert (config.recent_seconds, config.recent_rows) == (seconds, rows)
    assert EvaluationConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("recent", ["90", "d", "0 d", "-3 d", "3 y", 99, 0, -1, True, 2.5, None])
def test_anything_else_is_refused_with_what_is_allowed(recent: Any) -> None:
    with pytest.raises(ValidationError, match=r"allowed: a time such as 90 d .* a number of rows"):
        EvaluationConfig(primary="auc", recent=recent)


def test_a_time_needs_a_column_of_timestamps() -> None:
    with pytest.raises(ValidationError, match=r"'survey_year' \(data.time\) is integer; allowed"):
        configure(recent="90 d")
    assert configure(recent="90 d", kind="timestamp").evaluation.recent == "90 d"


@pytest.mark.parametrize("recent", ["90 d", 3000])
def test_without_a_time_column_it_is_unknown_which_rows_are_new(recent: Any) -> None:
    with pytest.raises(ValidationError, match=r"data\.time names no column"):
        configure(time="", recent=recent)


def test_a_service_without_it_keeps_its_hash() -> None:
    assert "recent" not in dump_service(load_service("employment", "development"))
