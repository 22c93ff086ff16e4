"""Which logged inputs the data rules would have refused: single values of features, no more."""

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.validation.live_inputs import find_refused_inputs
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.errors import ConfigInvalid
from sluice.profile.rules import DISTRIBUTION, KIND, NOT_NULL, RANGE, SET

RULES = [
    (NOT_NULL, {"column": "age"}),
    (RANGE, {"column": "age", "min_value": 16, "max_value": 100}),
    (SET, {"column": "sex", "value_set": ["female", "male"]}),
    (SET, {"column": "education", "value_set": ["school", "university"]}),
    (NOT_NULL, {"column": "employed"}),
    (KIND, {"column": "age", "kind": "integer"}),
    (DISTRIBUTION, {"column": "age"}),
    ("expect_table_row_count_to_be_between", {"min_value": 500}),
]


@pytest.fixture
def config() -> ServiceConfig:
    return load_service("employment", "development")


def judge(config: ServiceConfig, folder: Path, inputs: list[Any], *more: Any) -> Any:
    (folder / "expectations").mkdir(exist_ok=True)
    rules = [{"type": kind, "kwargs": values} for kind, values in (*RULES, *more)]
    file = folder / "expectations" / "employment.json"
    file.write_text(json.dumps({"name": "employment", "expectations": rules}))
    texts = [item if isinstance(item, str) else json.dumps(item) for item in inputs]
    return find_refused_inputs(config, texts, folder)


def test_good_inputs_are_not_refused(config: ServiceConfig, tmp_path: Path) -> None:
    found = judge(config, tmp_path, [{"age": 40, "education": "school"}, [{"age": 16}]])
    assert (found.rows, found.refused, found.describe()) == (2, 0, "")


def test_a_row_that_breaks_two_rules_counts_once(config: ServiceConfig, tmp_path: Path) -> None:
    found = judge(config, tmp_path, [{"age": 140, "education": "none"}, {"age": None}, {"age": 7}])
    assert (found.rows, found.refused) == (3, 3)
    assert found.rules == {"age not null": 1, "age within [16, 100]": 2, "education in set": 1}
    assert found.describe(1) == "age within [16, 100]: 2 rows and 2 rules more"


def test_null_where_no_rule_forbids_it_is_allowed(config: ServiceConfig, tmp_path: Path) -> None:
    assert judge(config, tmp_path, [{"age": 40, "education": None}]).refused == 0


@pytest.mark.parametrize(
    "text",
    [
        '{"age": 1e999}',
        '{"age": NaN}',
        '{"age": 9223372036854775808}',
        f'{{"age": {"9" * 40}}}',
        '{"age": true}',
        '{"age": 40, "sex": "\\ud800"}',
    ],
)
def test_a_value_that_no_column_can_hold_is_judged_as_null(
    text: str, config: ServiceConfig, tmp_path: Path
) -> None:
    found = judge(config, tmp_path, [text, {"age": 40}])
    assert (found.rows, found.refused) == (2, 0 if "sex" in text else 1)


def test_a_whole_number_with_a_point_is_that_number(config: ServiceConfig, tmp_path: Path) -> None:
    assert judge(config, tmp_path, [{"age": 40.0}]).refused == 0
    assert judge(config, tmp_path, [{"age": 400.0}]).refused == 1


def test_a_version_without_a_feature_breaks_no_rule_of_it(
    config: ServiceConfig, tmp_path: Path
) -> None:
    assert judge(config, tmp_path, [{"education": "school"}]).refused == 0


def test_a_share_that_a_rule_tolerates_is_not_refused(
    config: ServiceConfig, tmp_path: Path
) -> None:
    tolerant = (SET, {"column": "ancestry", "value_set": ["single"], "mostly": 0.9})
    rows = [{"age": 40, "ancestry": "single"}] * 19 + [{"age": 40, "ancestry": "other"}]
    assert judge(config, tmp_path, rows, tolerant).refused == 0
    assert judge(config, tmp_path, rows[-4:], tolerant).refused == 1


def test_a_rule_of_another_kind_is_named_as_not_judged(
    config: ServiceConfig, tmp_path: Path
) -> None:
    other = ("expect_column_values_to_match_regex", {"column": "ancestry", "regex": "^s"})
    found = judge(config, tmp_path, [{"age": 40, "ancestry": "x"}], other)
    assert (found.refused, found.skipped) == (0, ("ancestry: column values to match regex",))


@pytest.mark.parametrize("text", ["", "not JSON", "7", '["a", 3]', "null"])
def test_what_is_no_record_is_no_row(config: ServiceConfig, tmp_path: Path, text: str) -> None:
    assert judge(config, tmp_path, [text]).rows == 0


def test_a_missing_suite_is_named(config: ServiceConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"employment\.json: no such expectation suite"):
        find_refused_inputs(config, [], tmp_path)
