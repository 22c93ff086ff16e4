"""An experiment's file: what it may say, and that a record keeps all of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.config.experiments.experiment import ExperimentConfig, hash_experiment
from sluice.config.experiments.loading import (
    list_experiments,
    load_experiment,
    read_experiment,
    write_experiment,
)
from sluice.errors import ConfigInvalid

VALUES: dict[str, Any] = {
    "experiment": "tone",
    "service": "summarize",
    "hypothesis": "The shorter prompt raises the share of pleased users by 5 percent.",
    "primary": {"name": "pleased", "source": "positive", "shape": "rate", "better": "higher"},
    "minimum_detectable_effect": 0.05,
}


def write(folder: Path, **more: Any) -> Path:
    (folder / "experiments").mkdir(exist_ok=True)
    values = {key: value for key, value in {**VALUES, **more}.items() if value is not None}
    (folder / "experiments" / "tone.yaml").write_text(yaml.safe_dump(values))
    return folder


@pytest.mark.parametrize("name", list_experiments())
def test_the_experiments_of_the_project_are_valid_and_survive_the_store(name: str) -> None:
    config = load_experiment(name)
    again = read_experiment(write_experiment(config))
    assert again == config
    assert hash_experiment(again) == hash_experiment(config)


def test_the_split_is_ninety_to_ten_by_default(tmp_path: Path) -> None:
    config = load_experiment("tone", write(tmp_path))
    assert (config.split, config.alpha, config.power, config.looks) == (0.1, 0.05, 0.8, "fixed")
    assert config.period == 7 * 86_400


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("hypothesis", None, "hypothesis: Field required"),
        ("primary", None, "primary: Field required"),
        ("minimum_detectable_effect", 0, "minimum_detectable_effect"),
        ("split", 1, "split"),
        ("secondary", [VALUES["primary"]], "found the name pleased twice"),
        ("window", "soon", "allowed: a number and s, min, h or d"),
        ("window", "0 s", "window: found 0; allowed: more than 0 seconds"),
        ("experiment", "other", "allowed: the file's name, 'tone'"),
        ("experiment", "No/Name", "allowed: 1 to 63 lower-case letters"),
        ("primery", 1, "did you mean `primary`"),
        ("assumed", {"mean": 2, "units_a_day": 5}, "a rate's mean between 0 and 1"),
        ("primary", {**VALUES["primary"], "cap": 3}, "primary.cap: found a cap with shape rate"),
    ],
)
def test_a_wrong_value_is_refused_by_file_key_and_what_is_allowed(
    tmp_path: Path, key: str, value: Any, said: str
) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_experiment("tone", write(tmp_path, **{key: value}))
    assert said in str(caught.value)
    assert "tone.yaml" in str(caught.value)


def test_cuped_needs_a_unit_that_comes_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="found it with unit request"):
        load_experiment("tone", write(tmp_path, cuped="7 d", unit="request"))
    with pytest.raises(ConfigInvalid, match="found it with a sequential rate"):
        load_experiment("tone", write(tmp_path, cuped="7 d", looks="sequential"))


def test_an_unknown_experiment_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"no experiment 'nothing' in .*; known: tone"):
        load_experiment("nothing", write(tmp_path))


def test_needs_feedback_is_known() -> None:
    config = ExperimentConfig.model_validate(VALUES)
    assert config.needs_feedback
    tokens = {**VALUES["primary"], "source": "output_tokens", "shape": "mean"}
    assert not config.model_copy(
        update={"primary": type(config.primary).model_validate(tokens)}
    ).needs_feedback
