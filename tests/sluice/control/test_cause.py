"""Which run may take a claim on a cause."""

import pytest

from sluice.control.cause import Claim, name_data_cause
from sluice.control.lease import Lease

LEASE = Lease("employment", "release").take("first", 15.0)
OPEN = Claim("employment", "data.changed", "v2", "run 1", "release", LEASE.epoch)
SETTLED = Claim("employment", "data.changed", "v2", "run 1", "release", LEASE.epoch, "registered")


@pytest.mark.parametrize("claim", [OPEN, SETTLED])
@pytest.mark.parametrize("lease", [LEASE, LEASE.free(), LEASE.take("second", 15.0)])
def test_a_run_keeps_its_own_claim(claim: Claim, lease: Lease) -> None:
    assert claim.may_pass_to("run 1", lease)


def test_another_run_has_to_wait_while_the_lease_lives() -> None:
    assert not OPEN.may_pass_to("run 2", LEASE.renew())


@pytest.mark.parametrize("lease", [LEASE.free(), LEASE.take("second", 15.0)])
def test_an_open_claim_passes_on_with_its_lease(lease: Lease) -> None:
    assert OPEN.may_pass_to("run 2", lease)


def test_a_settled_claim_never_passes_on() -> None:
    assert not SETTLED.may_pass_to("run 2", LEASE.take("second", 15.0))


def test_a_data_version_under_a_configuration_is_named_by_both() -> None:
    assert name_data_cause(2, "0123456789abcdef") == "data v2, configuration 0123456789ab"
