"""A release compares with the version that serves by the control store, and brings something new.

The tests run in their order: the last one deletes the version that serves.
"""

from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.home import Home
from tasks.release.recording import read_verdicts

pytestmark = pytest.mark.slow

SERVICE = "employment"


@pytest.fixture(scope="module")
def registry(stocked: Home) -> Registry:
    """The registry without the alias `champion`, as if somebody had removed it."""
    registry = open_registry(stocked)
    registry.store.client().delete_registered_model_alias(SERVICE, "champion")
    return registry


def release(**given: Any) -> Any:
    from flows.release import release

    return release(SERVICE, **given, return_state=True)


def list_versions(registry: Registry) -> list[int]:
    return sorted(item.version for item in registry.store.list_versions(SERVICE))


def champion_of(home: Home) -> int:
    route = open_control(home).routes.find(SERVICE)
    assert route is not None
    return route.champion


def test_a_candidate_on_older_data_than_the_champions_is_halted(
    stocked: Home, registry: Registry
) -> None:
    state = release(data_version=0)
    assert "trained on data v0, older than the champion's data v1" in state.message
    assert (list_versions(registry), champion_of(stocked)) == ([1], 1)


def test_without_the_alias_a_release_still_compares_with_the_version_that_serves(
    stocked: Home, registry: Registry
) -> None:
    """The same data and configuration give the same model, which only a comparison shows."""
    state = release()
    assert state.result().alias == "candidate"
    [verdict] = [item for item in read_verdicts(state.result().run_id) if item.gate == "evaluation"]
    assert "auc against champion" in {check.name for check in verdict.checks}
    [notice] = verdict.notices
    assert notice.startswith("identity: predicts exactly what the champion does on all ")
    assert champion_of(stocked) == 1
    assert registry.find_alias(SERVICE, "champion") is None


def test_without_the_version_that_serves_a_release_halts(stocked: Home, registry: Registry) -> None:
    registry.store.client().delete_model_version(SERVICE, "1")
    state = release()
    assert state.message.startswith("EvidenceInsufficient: v1 serves, but the registry does not")
    assert (list_versions(registry), champion_of(stocked)) == ([2], 1)
