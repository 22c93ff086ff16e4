"""Leases on a real database: one holder, and none that comes back late changes anything."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.control.lease import Lease, LeaseWatch
from sluice.errors import LeaseLost
from sluice.home import Home
from support.pace import slowed
from support.servers.control import race


def test_first_gets_it_and_others_are_told_who(control: Control, lease: Lease) -> None:
    assert lease.holder == "first"
    assert control.leases.acquire("employment", "release", "second", 15) == lease


def test_asking_again_gives_the_same_lease(control: Control, lease: Lease) -> None:
    assert control.leases.acquire("employment", "release", "first", 15) == lease


def test_services_and_purposes_do_not_share_a_lease(control: Control, lease: Lease) -> None:
    for service, purpose in (("income", "release"), ("employment", "watch")):
        assert control.leases.acquire(service, purpose, "second", 15).holder == "second"
    assert control.leases.find("employment", "release") == lease


def test_a_freed_lease_goes_to_the_next_with_a_new_epoch(control: Control, lease: Lease) -> None:
    assert control.leases.release(lease)
    second = control.leases.acquire("employment", "release", "second", 15)
    assert (second.holder, second.epoch) == ("second", lease.epoch + 1)


def test_renewal_moves_the_counter(control: Control, lease: Lease) -> None:
    control.leases.renew(lease)
    assert control.leases.renew(lease).renewal == 2
    assert control.leases.find("employment", "release") == replace(lease, renewal=2)


def test_one_who_was_seen_lapsed_is_succeeded(control: Control, lease: Lease) -> None:
    second = control.leases.take(control.leases.find("employment", "release"), "second", 15)
    assert second == lease.take("second", 15)


def test_a_renewal_in_between_keeps_the_lease(control: Control, lease: Lease) -> None:
    seen = control.leases.find("employment", "release")
    renewed = control.leases.renew(lease)
    assert control.leases.take(seen, "second", 15) is None
    assert control.leases.find("employment", "release") == renewed


def test_a_holder_that_comes_back_late_changes_nothing(control: Control, lease: Lease) -> None:
    second = control.leases.take(lease, "second", 15)
    with pytest.raises(LeaseLost, match="release of employment, epoch 1, was taken over"):
        control.leases.renew(lease)
    assert not control.leases.release(lease)
    assert control.leases.find("employment", "release") == second


def test_a_freed_lease_is_not_renewed(control: Control, lease: Lease) -> None:
    control.leases.release(lease)
    with pytest.raises(LeaseLost, match="was freed"):
        control.leases.renew(lease)


def test_of_many_processes_one_gets_a_free_lease(store: Home) -> None:
    """They also prepare the store, all at once."""
    assert sorted(race(store.root, "lease", 4)) == ["False"] * 3 + ["True"]


def test_of_many_processes_one_takes_a_lapsed_lease(store: Home, lease: Lease) -> None:
    race_ends = race(store.root, "take", 4)
    epoch = open_control(store).leases.find("employment", "release").epoch
    # One that looked only after another had taken it saw a new lease, and may take that.
    assert race_ends.count("True") == epoch - lease.epoch >= 1


HOLDER = """
import sys, time
from pathlib import Path
from sluice.adapters.control.store import open_control
from sluice.home import Home
leases = open_control(Home(Path(sys.argv[1]))).leases
lease = leases.acquire("employment", "release", "killed", 1.0)
print("held", flush=True)
while True:
    time.sleep(0.3)
    leases.renew(lease)
"""


@pytest.mark.faults
def test_the_lease_of_a_killed_process_lapses_after_its_ttl(store: Home, control: Control) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        watch, began = LeaseWatch(), time.monotonic()
        while time.monotonic() - began < 2.0:
            seen = control.leases.find("employment", "release")
            assert not watch.has_lapsed(seen, time.monotonic())
            time.sleep(0.05)
        holder.kill()
        holder.wait()
    began = time.monotonic()
    while not watch.has_lapsed(control.leases.find("employment", "release"), time.monotonic()):
        time.sleep(0.05)
    assert 0.5 < time.monotonic() - began < slowed(2.0)
