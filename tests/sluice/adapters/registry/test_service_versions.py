"""A prompt's versions and aliases by the interface that rollouts use for models as well."""

from pathlib import Path

from sluice.adapters.control.store import Control, open_control
from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.prompts import PublishedPrompt
from sluice.adapters.service_versions import (
    ModelVersions,
    PromptVersions,
    ServiceVersions,
    open_versions,
)
from sluice.control.route import Route
from sluice.home import Home

NAME = "greet"


def open_store(folder: Path) -> Control:
    control = open_control(Home(folder))
    control.prepare()
    return control


def open_prompt(folder: Path, registry: Registry) -> ServiceVersions:
    """Publish v3 and v7, of which v3 serves."""
    for number in (3, 7):
        shown = PublishedPrompt(NAME, number, f"id {number}", (("user", "Hi"),), {}, {})
        registry.publish_prompt(shown)
    control = open_store(folder)
    control.routes.swap(None, Route(NAME, 3, kind="prompt"))
    return open_versions(control, registry, NAME)


def aliases(versions: ServiceVersions) -> dict[str, int]:
    found = {name: versions.find_alias(name) for name in ("champion", "candidate", "previous")}
    return {name: item.version for name, item in found.items() if item}


def test_aliases_of_a_prompt_move_as_those_of_a_model_do(
    registry: Registry, tmp_path: Path
) -> None:
    versions = open_prompt(tmp_path, registry)
    assert isinstance(versions, PromptVersions)
    assert aliases(versions) == {}
    registry.mark_active(NAME, 7, "candidate")
    assert aliases(versions) == {"candidate": 7}
    assert versions.make_champion(7, 3) == 3
    assert versions.make_champion(7, 3) == 3, "a second call completes the first"
    assert aliases(versions) == {"champion": 7, "previous": 3}
    versions.revert_promotion(3, 7)
    assert aliases(versions) == {"champion": 3}


def test_only_a_published_version_may_serve(registry: Registry, tmp_path: Path) -> None:
    versions = open_prompt(tmp_path, registry)
    found = versions.find(7)
    assert found is not None
    assert versions.judge(found).objection == ""
    assert versions.find(2) is None, "2 is the registry's number of v7, and no version of ours"


def test_without_a_route_a_service_is_a_model(registry: Registry, tmp_path: Path) -> None:
    assert isinstance(open_versions(open_store(tmp_path), registry, "towns"), ModelVersions)
