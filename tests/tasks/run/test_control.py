"""Waiting for the service's lease, and losing it."""

import threading
import time
from typing import Any

import pytest
from prefect import flow

from sluice.adapters.control.store import open_control
from sluice.control.lease import Lease
from sluice.errors import DataMissing
from sluice.home import Home, find_home
from support.pace import slowed
from support.releases.runs import logs_of
from tasks.run.leases import await_lease, hold_release
from tasks.run.state import read_failure, state_failure

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]
KEY = ("employment", "release")
SETTINGS: dict[str, Any] = {"persist_result": False, "result_serializer": "json"}


@flow(**SETTINGS)
@state_failure
def wait_for(holder: str, patience: float) -> Any:
    return await_lease(*KEY, holder, patience)


@flow(**SETTINGS)
@state_failure
def lose_lease(error: Exception | None = None) -> None:
    control = open_control(find_home())
    with hold_release("employment") as lease:
        while not control.leases.take(control.leases.find(*KEY), "second", 15):
            pass
        if error:
            raise error
        control.leases.renew(lease)


@flow(**SETTINGS)
@state_failure
def fail_within() -> None:
    with hold_release("employment"):
        raise DataMissing("none")


def hold(home: Home, ttl: float) -> Lease:
    control = open_control(home)
    control.prepare()
    return control.leases.acquire(*KEY, "another", ttl)


def test_a_waiting_run_logs_it_and_continues_when_the_other_ends(home: Home) -> None:
    lease = hold(home, 60.0)
    timer = threading.Timer(2.0, open_control(home).leases.release, (lease,))
    timer.start()
    began = time.monotonic()
    state = wait_for("me", 30.0, return_state=True)
    timer.join()
    assert state.result().holder == "me"
    assert 1.5 < time.monotonic() - began < slowed(15.0)
    assert any("waiting for another, 0 s so far, at most 30" in line for line in logs_of(state))


def test_waiting_too_long_is_refused_with_the_holder_named(home: Home) -> None:
    lease = hold(home, 60.0)
    state = wait_for("me", 1.0, return_state=True)
    assert read_failure(state)[0] == "ServiceBusy"
    assert "employment: another still runs after 1 s of waiting" in state.message
    assert open_control(home).leases.find(*KEY) == lease


def test_a_lease_that_is_not_renewed_is_taken_over(home: Home) -> None:
    hold(home, 1.0)
    state = wait_for("me", 30.0, return_state=True)
    assert state.result().epoch == 2
    assert any("another was not renewed for 1 s: taken over" in line for line in logs_of(state))


def test_a_run_that_lost_the_lease_ends_at_once(home: Home) -> None:
    state = lose_lease(return_state=True)
    assert read_failure(state)[0] == "LeaseLost"
    assert open_control(home).leases.find(*KEY).holder == "second"


def test_an_error_after_a_lost_lease_is_reported_as_the_loss(home: Home) -> None:
    state = lose_lease(FileNotFoundError("scratch"), return_state=True)
    assert read_failure(state)[0] == "LeaseLost"


def test_an_error_under_a_lease_that_is_still_held_stays_what_it_is(home: Home) -> None:
    state = fail_within(return_state=True)
    assert read_failure(state)[0] == "DataMissing"
    assert open_control(home).leases.find(*KEY).is_free
