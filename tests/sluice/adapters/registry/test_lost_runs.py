"""Runs that died leave open runs and versions without an alias in the registry."""

from typing import Any

import pytest

from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.store import Store
from sluice.errors import LeaseLost, RegistryUnavailable

TAGS = {"sluice.verdict.data": "pass", "sluice.data.version": "4"}


def lose_lease() -> None:
    raise LeaseLost("the lease was taken over")


def flow_tags(run: str) -> dict[str, str]:
    return {**TAGS, "prefect.flow_run_id": run}


def store_of(registry: Registry) -> Store:
    return Store(registry.tracking_uri, registry.artifact_root)


def cut_off(register: Any, run_id: str, tags: dict[str, str]) -> None:
    """Register a version and die before its alias moves."""

    def die() -> None:
        raise RegistryUnavailable("cut off")

    with pytest.raises(RegistryUnavailable, match="cut off"):
        register(run_id, tags, confirm=die)


def test_open_runs_of_flows_are_closed_and_name_their_successor(
    registry: Registry, service: str
) -> None:
    lost = registry.start_run(service, "lost", flow_tags("first"))
    ended = registry.start_run(service, "ended", flow_tags("second"))
    registry.end_run(ended, "FAILED")
    script = registry.start_run(service, "a script", {})
    mine = registry.start_run(service, "mine", flow_tags("third"))
    assert registry.end_lost_runs(service, mine) == [lost]
    client = store_of(registry).client()
    status = {run: client.get_run(run).info.status for run in (lost, ended, script, mine)}
    assert status == {lost: "KILLED", ended: "FAILED", script: "RUNNING", mine: "RUNNING"}
    assert client.get_run(lost).data.tags["sluice.successor"] == mine
    assert registry.end_lost_runs(service, mine) == []


def test_open_runs_of_another_service_stay_open(registry: Registry, service: str) -> None:
    other = registry.start_run(f"{service}-other", "other", flow_tags("first"))
    mine = registry.start_run(service, "mine", flow_tags("second"))
    assert registry.end_lost_runs(service, mine) == []
    assert store_of(registry).client().get_run(other).info.status == "RUNNING"


def test_a_run_is_found_by_all_its_tags_and_its_status(registry: Registry, service: str) -> None:
    ended = registry.start_run(service, "ended", flow_tags("one"))
    registry.end_run(ended)
    assert registry.find_run(service, flow_tags("one")) == ended
    assert registry.find_run(service, flow_tags("one"), "RUNNING") == ""
    assert registry.find_run(service, {**flow_tags("one"), "sluice.data.version": "5"}) == ""


def test_a_version_whose_run_lost_its_lease_is_orphaned(
    registry: Registry, register: Any, service: str
) -> None:
    run_id = registry.start_run(service, "late", {})
    with pytest.raises(LeaseLost):
        register(run_id, flow_tags("late"), confirm=lose_lease)
    found = store_of(registry).find_version(service, run_id)
    assert found is not None
    assert found.tags["sluice.orphaned"] == "true"
    assert registry.find_alias(service, "champion") is None
    assert registry.find_registered(service, "late") is None


def test_a_version_without_its_alias_is_found_and_completed(
    registry: Registry, register: Any, service: str
) -> None:
    cut_off(register, registry.start_run(service, "dead", {}), flow_tags("dead"))
    found = registry.find_registered(service, "dead")
    assert found is not None
    assert registry.find_alias(service, "champion") is None
    finished = registry.finish_registration(found)
    assert (finished.version, finished.aliases) == (found.version, ("champion",))
    assert registry.finish_registration(finished) == finished
    assert registry.find_registered(service, "alive") is None


def test_a_version_that_the_next_run_completed_is_not_orphaned(
    registry: Registry, register: Any, service: str
) -> None:
    run_id = registry.start_run(service, "frozen", {})
    cut_off(register, run_id, flow_tags("frozen"))
    found = registry.find_registered(service, "frozen")
    assert found is not None
    registry.finish_registration(found)
    with pytest.raises(LeaseLost):
        register(run_id, flow_tags("frozen"), confirm=lose_lease)
    assert registry.find_registered(service, "frozen") is not None


def test_a_version_older_than_a_registered_one_gets_no_alias(
    registry: Registry, register: Any, service: str
) -> None:
    register()
    cut_off(register, registry.start_run(service, "dead", {}), flow_tags("dead"))
    newer = register()
    found = registry.find_registered(service, "dead")
    assert found is not None
    assert found.version == newer.version - 1
    assert registry.finish_registration(found).aliases == ()
    candidate = registry.find_alias(service, "candidate")
    assert candidate is not None
    assert candidate.version == newer.version


def test_an_alias_that_was_removed_is_not_set_again(
    registry: Registry, register: Any, service: str
) -> None:
    register()
    version = register(tags=flow_tags("done"))
    store_of(registry).client().delete_registered_model_alias(service, "candidate")
    assert registry.finish_registration(version).aliases == ()
    assert registry.find_alias(service, "candidate") is None
