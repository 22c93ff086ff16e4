"""A published version is what it was, whatever becomes of its file in `prompts/`."""

from pathlib import Path
from typing import Any

import pytest

from sluice.errors import PromptChanged, PromptInvalid
from sluice.prompts.published import name_published, read_published, write_published
from sluice.prompts.version import PromptVersion
from support.prompts import VERSION


def publish(folder: Path, **changes: Any) -> PromptVersion:
    version = PromptVersion.model_validate({**VERSION, **changes})
    for name, text in write_published(version).items():
        (folder / name).write_text(text, encoding="utf-8")
    return version


def test_it_is_read_as_it_was_published(tmp_path: Path) -> None:
    examples = [{"input": "Bob", "output": "Hej Bob ☕"}]
    version = publish(tmp_path, examples=examples, system="Be kind: {{name}}.")
    found = read_published(tmp_path, "greet", 1)
    assert found == version
    assert found.identity == version.identity


def test_one_that_was_not_published_says_what_to_do(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(PromptInvalid, match="no published v2 of greet; next: sluice prompt pub"):
        read_published(tmp_path, "greet", 2)


def test_a_file_that_was_edited_is_refused(tmp_path: Path) -> None:
    version = publish(tmp_path)
    file = tmp_path / name_published(version)
    file.write_text(file.read_text().replace("Greet", "Insult"))
    with pytest.raises(PromptChanged, match="is not what was published as greet v1"):
        read_published(tmp_path, "greet", 1)


def test_two_files_of_one_version_are_refused(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, max_tokens=60)
    with pytest.raises(PromptChanged, match="found two versions 1"):
        read_published(tmp_path, "greet", 1)


def test_a_version_of_another_prompt_is_refused(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(PromptChanged):
        read_published(tmp_path, "part", 1)


@pytest.mark.parametrize("text", ["", "[", "name: greet\n"])
def test_garbage_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / f"v1-{'0' * 64}.yaml").write_text(text)
    with pytest.raises(PromptInvalid):
        read_published(tmp_path, "greet", 1)
