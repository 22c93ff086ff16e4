"""A version that is published is kept as it is, for the gateway."""

from pathlib import Path
from typing import Any

import pytest

from sluice.errors import PromptChanged
from sluice.home import Home
from sluice.prompts.published import read_published
from sluice.prompts.version import PromptVersion
from support.prompts import VERSION
from tasks.prompts.publishing import keep_published


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    return Home(tmp_path)


def make(**changes: Any) -> PromptVersion:
    return PromptVersion.model_validate({**VERSION, **changes})


def test_it_is_kept_once_and_read_as_it_was(home: Home) -> None:
    keep_published(make())
    keep_published(make())
    folder = home.published_prompts("greet")
    assert len(list(folder.iterdir())) == 1
    assert read_published(folder, "greet", 1) == make()


def test_another_content_of_a_published_version_is_refused(home: Home) -> None:
    keep_published(make())
    with pytest.raises(PromptChanged, match="greet v1 was published with another content"):
        keep_published(make(max_tokens=60))
    assert read_published(home.published_prompts("greet"), "greet", 1) == make()
