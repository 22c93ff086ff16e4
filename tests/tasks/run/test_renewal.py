"""A lease is renewed in the background, and failed renewals are logged."""

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.control.lease import Lease
from sluice.home import Home
from tasks.run.leases import keep_lease

LOG = logging.getLogger("tests.renewal")
TTL = 0.6
KEY = ("employment", "release")


@pytest.fixture
def control(tmp_path: Path) -> Control:
    control = open_control(Home(tmp_path))
    control.prepare()
    return control


@pytest.fixture
def lease(control: Control) -> Lease:
    return control.leases.acquire("employment", "release", "first", TTL)


def await_truth(question: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_counter_moves_while_the_block_runs(control: Control, lease: Lease) -> None:
    with keep_lease(control, lease, LOG):
        await_truth(lambda: control.leases.find(*KEY).renewal >= 3)
        assert control.leases.find(*KEY).holder == "first"


def test_the_lease_is_free_after_its_block(control: Control, lease: Lease) -> None:
    with pytest.raises(ValueError, match="inside"), keep_lease(control, lease, LOG):
        raise ValueError("inside")
    assert control.leases.find(*KEY).is_free


def test_a_lost_lease_is_logged_and_left_to_its_successor(
    control: Control, lease: Lease, caplog: pytest.LogCaptureFixture
) -> None:
    with keep_lease(control, lease, LOG):
        while not (second := control.leases.take(control.leases.find(*KEY), "second", TTL)):
            pass
        await_truth(lambda: "was taken over" in caplog.text)
    assert control.leases.find(*KEY) == second


@pytest.mark.slow
def test_each_renewal_that_fails_is_logged_and_the_next_one_saves_it(
    control: Control, lease: Lease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with keep_lease(control, lease, LOG):
        with closing(sqlite3.connect(tmp_path / "control.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await_truth(lambda: "not renewed: control store: renewing" in caplog.text, 20.0)
        before = control.leases.find(*KEY).renewal
        await_truth(lambda: control.leases.find(*KEY).renewal > before)
