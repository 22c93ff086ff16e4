"""Every file of configuration that exhausts a careless reader is refused by name, and soon."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.config.deployments import read_deployments
from sluice.config.loading import load_gateway, load_policy, load_service
from sluice.errors import ConfigInvalid
from support.documents import HOSTILE_YAML
from support.pace import slowed
from support.releases.runs import write_service

SECONDS = 3.0


def overlay(folder: Path) -> object:
    write_service(folder, "shop")
    return load_service("shop", "development", folder)


READERS: dict[str, Callable[[Path], object]] = {
    "shop.yaml": lambda folder: load_service("shop", "development", folder),
    "development.yaml": overlay,
    "policies/quick.yaml": lambda folder: load_policy("quick", folder),
    "gateway.yaml": lambda folder: load_gateway("development", folder),
    "deployments.yaml": lambda folder: read_deployments(folder / "deployments.yaml"),
}


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_file_is_named_with_what_was_found_and_what_is_allowed(
    file: str, name: str, tmp_path: Path
) -> None:
    text, words = HOSTILE_YAML[name]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text)
    began = time.monotonic()
    with pytest.raises(ConfigInvalid, match=words) as refused:
        READERS[file](tmp_path)
    assert str(refused.value).startswith(f"{path}:")
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < slowed(SECONDS)


def test_many_wrong_keys_are_named_soon(tmp_path: Path) -> None:
    path = write_service(tmp_path, "shop")
    wrong = "".join(f"wrong_{number}: 1\n" for number in range(2_000))
    path.write_text(path.read_text(encoding="utf-8") + wrong, encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(ConfigInvalid) as refused:
        load_service("shop", "development", tmp_path)
    assert len(str(refused.value).splitlines()) == 2_000
    assert time.monotonic() - began < slowed(SECONDS * 2)
