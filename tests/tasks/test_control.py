"""Waiting for the service's lease, and answering a change of data once."""

import threading
import time
from typing import Any

import pytest
from prefect import flow

from sluice.adapters.control.store import open_control
from sluice.config.loading import load_service
from sluice.control.lease import Lease
from sluice.errors import BiasFound, DataMissing
from sluice.home import Home, find_home
from support import logs_of
from tasks.control import answer_cause, await_lease, confirm_lease, hold_release
from tasks.outcome import read_failure, state_failure

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]
KEY = ("employment", "release")
SETTINGS: dict[str, Any] = {"persist_result": False, "result_serializer": "json"}


@flow(**SETTINGS)
@state_failure
def wait_for(holder: str, patience: float) -> Any:
    return await_lease(*KEY, holder, patience)


@flow(**SETTINGS)
@state_failure
def answer(cause: str, version: int, failing: str = "") -> str:
    errors = {"gate": BiasFound("found"), "refusal": DataMissing("none")}
    config = load_service("employment", "development")
    with (
        hold_release("employment") as lease,
        answer_cause(config, lease, version, cause) as other,
    ):
        if failing and not other:
            raise errors[failing]
        return other


@flow(**SETTINGS)
@state_failure
def lose_lease() -> None:
    control = open_control(find_home())
    with hold_release("employment") as lease:
        while not control.leases.take(control.leases.find(*KEY), "second", 15):
            pass
        confirm_lease(lease)


def hold(home: Home, ttl: float) -> Lease:
    control = open_control(home)
    control.prepare()
    return control.leases.acquire(*KEY, "another", ttl)


def test_one_who_waits_says_so_and_goes_on_when_the_other_ends(home: Home) -> None:
    lease = hold(home, 60.0)
    timer = threading.Timer(2.0, open_control(home).leases.release, (lease,))
    timer.start()
    began = time.monotonic()
    state = wait_for("me", 30.0, return_state=True)
    timer.join()
    assert state.result().holder == "me"
    assert 1.5 < time.monotonic() - began < 15.0
    assert any("waiting for another, 0 s so far, at most 30" in line for line in logs_of(state))


def test_one_who_waits_too_long_is_refused_and_told_for_whom(home: Home) -> None:
    lease = hold(home, 60.0)
    state = wait_for("me", 1.0, return_state=True)
    assert read_failure(state)[0] == "ServiceBusy"
    assert "employment: another still runs after 1 s of waiting" in state.message
    assert open_control(home).leases.find(*KEY) == lease


def test_a_lease_that_stands_still_is_taken_over(home: Home) -> None:
    hold(home, 1.0)
    state = wait_for("me", 30.0, return_state=True)
    assert state.result().epoch == 2
    assert any("another was not renewed for 1 s: taken over" in line for line in logs_of(state))


def test_one_who_lost_the_lease_ends_at_once(home: Home) -> None:
    state = lose_lease(return_state=True)
    assert read_failure(state)[0] == "LeaseLost"
    assert open_control(home).leases.find(*KEY).holder == "second"


def test_a_change_of_data_is_answered_once(home: Home) -> None:
    assert answer("data.changed", 2) == ""
    other = answer("data.changed", 2)
    assert other.startswith("data v2, configuration ")
    assert other.endswith("registered it")
    assert answer("data.changed", 3) == ""


def test_a_release_by_hand_is_never_skipped(home: Home) -> None:
    assert [answer("by hand", 2) for _ in range(2)] == ["", ""]
    assert open_control(home).causes.list_claims("employment") == []


def test_a_gate_that_halted_has_answered(home: Home) -> None:
    assert answer("data.changed", 2, "gate", return_state=True).is_failed()
    assert answer("data.changed", 2).endswith("was halted by BiasFound")


def test_a_refusal_leaves_the_cause_to_the_next(home: Home) -> None:
    assert answer("data.changed", 2, "refusal", return_state=True).is_failed()
    assert answer("data.changed", 2) == ""
