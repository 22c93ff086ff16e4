"""Which release handles a data version under a configuration, and which finds it handled."""

from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.config.loading import load_service
from sluice.errors import BiasFound, DataMissing
from sluice.home import Home
from support.servers.images import add_registry_database
from tasks.release.causes import handle_cause
from tasks.run.leases import hold_release
from tasks.run.state import state_failure

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api", "shared")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Return one state folder for all tests; each test has its own data version."""
    with pytest.MonkeyPatch.context() as patch:
        home = add_registry_database(Home(tmp_path_factory.mktemp("causes")))
        patch.setenv("SLUICE_HOME", str(home.root))
        open_registry(home).prepare()
        yield home


@flow(persist_result=False, result_serializer="json")
@state_failure
def handle(cause: str, version: int, failing: str = "") -> str:
    errors = {"gate": BiasFound("found"), "refusal": DataMissing("none")}
    config = load_service("employment", "development")
    with (
        hold_release("employment") as lease,
        handle_cause(config, lease, version, cause) as other,
    ):
        if failing and not other:
            raise errors[failing]
        return other


def outcomes_of(home: Home, version: int) -> list[str]:
    claims = open_control(home).causes.list_claims("employment")
    return [claim.outcome for claim in claims if claim.key.startswith(f"data v{version},")]


def test_a_change_of_data_is_handled_once(shared: Home) -> None:
    assert handle("data.changed", 2) == ""
    other = handle("data.changed", 2)
    assert other.startswith("data v2, configuration ")
    assert ": handled by flow run " in other
    assert other.endswith(": registered it")
    assert handle("data.changed", 3) == ""


def test_a_release_by_hand_handles_a_change_of_data_that_is_announced_later(shared: Home) -> None:
    assert [handle("by hand", 4) for _ in range(2)] == ["", ""]
    assert handle("data.changed", 4).endswith(": registered it")
    assert outcomes_of(shared, 4) == ["registered it"]


def test_a_release_by_hand_does_not_change_the_first_claim(shared: Home) -> None:
    assert handle("data.changed", 5) == ""
    before: Any = open_control(shared).causes.list_claims("employment")
    assert handle("by hand", 5, "gate", return_state=True).is_failed()
    assert open_control(shared).causes.list_claims("employment") == before


def test_a_release_halted_by_a_gate_has_handled_its_cause(shared: Home) -> None:
    assert handle("data.changed", 6, "gate", return_state=True).is_failed()
    assert handle("data.changed", 6).endswith("was halted by BiasFound")


def test_a_refusal_leaves_the_cause_to_the_next(shared: Home) -> None:
    assert handle("weekly", 7, "refusal", return_state=True).is_failed()
    assert outcomes_of(shared, 7) == [""]
    assert handle("data.changed", 7) == ""
    assert outcomes_of(shared, 7) == ["registered it"]
