"""The configurations of each story are valid, and differ from the shipped ones as it says."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from cli.stack import demo
from demo.loop.stories import STORIES
from demo.loop.world import SERVICE, write_configs
from sluice.config.loading import list_services, load_policy, load_service


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_story_has_valid_configurations(name: str, tmp_path: Path) -> None:
    folder = write_configs(tmp_path / "configs", STORIES[name])
    config = load_service(SERVICE, "development", folder)
    assert list_services(folder) == [SERVICE]
    assert (config.rollout.policy, config.rollout.start) == ("smoke", "auto")
    assert load_policy(config.rollout.policy, folder).soak > 0
    shipped = load_service(SERVICE, "development")
    for limit in ("primary", "margin", "floors", "slices", "calibration"):
        assert getattr(config.evaluation, limit) == getattr(shipped.evaluation, limit)
    assert config.bias == shipped.bias
    assert config.data == shipped.data


def test_the_concept_is_learnt_from_and_judged_by_the_newest_rows(tmp_path: Path) -> None:
    config = load_service(
        SERVICE, "development", write_configs(tmp_path / "configs", STORIES["concept"])
    )
    assert config.source is not None
    assert config.source.kind == "traffic"
    assert (config.split.recent, config.evaluation.recent) == (1000, 500)
    assert config.retrain.when == ("data", "performance")


def test_the_command_knows_every_story() -> None:
    option = get_args(get_type_hints(demo)["loop"])[0]
    assert set(get_args(option)) == set(STORIES)
