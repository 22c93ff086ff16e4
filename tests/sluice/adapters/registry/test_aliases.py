"""Aliases that a release and the end of a rollout move at the same time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluice.adapters.registry.aliases import CANDIDATE, drop_alias
from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import ModelVersionRef


class Crossed(Store):
    """The real store, in which something else happens just after an alias was looked up."""

    def __init__(self, store: Store, then: Callable[[], Any]) -> None:
        super().__init__(store.tracking_uri, Path(store.artifact_root))
        self._then: list[Callable[[], Any]] = [then]

    def find_alias(self, service: str, alias: str) -> ModelVersionRef | None:
        found = super().find_alias(service, alias)
        if self._then:
            self._then.pop()()
        return found


def test_a_candidate_registered_while_the_last_one_leaves_keeps_its_alias(
    registry: Registry, register: Any, service: str
) -> None:
    register()
    assert register().aliases == (CANDIDATE,)
    drop_alias(Crossed(registry.store, register), service, CANDIDATE, 2)
    found = registry.find_alias(service, CANDIDATE)
    assert found is not None
    assert found.version == 3


def test_a_candidate_that_leaves_restores_no_earlier_one(
    registry: Registry, register: Any, service: str
) -> None:
    for _ in range(3):
        register()
    registry.store.set_alias(service, CANDIDATE, 2)
    drop_alias(registry.store, service, CANDIDATE, 2)
    assert registry.find_alias(service, CANDIDATE) is None
