"""Causes on a real database: one run answers each."""

import pytest

from sluice.adapters.control.store import Control
from sluice.control.lease import Lease
from sluice.errors import LeaseLost
from sluice.home import Home
from support.servers.control import race

CHANGE = ("data.changed", "v2")


def succeed(control: Control, lease: Lease) -> Lease:
    taken = control.leases.take(lease, "second", 15)
    assert taken is not None
    return taken


def test_first_run_gets_it_and_others_are_told_who(control: Control, lease: Lease) -> None:
    first = control.causes.claim(lease, *CHANGE, "run 1")
    assert first.belongs_to("run 1")
    assert control.causes.claim(lease, *CHANGE, "run 2") == first


def test_the_same_run_gets_it_again(control: Control, lease: Lease) -> None:
    first = control.causes.claim(lease, *CHANGE, "run 1")
    assert control.causes.claim(lease, *CHANGE, "run 1") == first
    assert control.causes.list_claims("employment") == [first]


def test_other_versions_and_kinds_are_other_causes(control: Control, lease: Lease) -> None:
    control.causes.claim(lease, *CHANGE, "run 1")
    for kind, key in (("data.changed", "v3"), ("code.changed", "v2")):
        assert control.causes.claim(lease, kind, key, "run 2").belongs_to("run 2")


def test_a_claim_whose_run_died_passes_on_with_the_lease(control: Control, lease: Lease) -> None:
    control.causes.claim(lease, *CHANGE, "run 1")
    assert control.causes.claim(succeed(control, lease), *CHANGE, "run 2").belongs_to("run 2")


def test_a_settled_claim_stays_settled(control: Control, lease: Lease) -> None:
    claim = control.causes.claim(lease, *CHANGE, "run 1")
    settled = control.causes.finish(lease, claim, "registered")
    assert settled.is_settled
    assert control.causes.claim(succeed(control, lease), *CHANGE, "run 2") == settled


def test_one_without_the_lease_neither_claims_nor_settles(control: Control, lease: Lease) -> None:
    claim = control.causes.claim(lease, *CHANGE, "run 1")
    successor = control.causes.claim(succeed(control, lease), *CHANGE, "run 2")
    with pytest.raises(LeaseLost):
        control.causes.claim(lease, "data.changed", "v3", "run 1")
    with pytest.raises(LeaseLost):
        control.causes.finish(lease, claim, "registered")
    assert control.causes.list_claims("employment") == [successor]


def test_a_claim_that_passed_on_is_not_settled_by_its_old_run(
    control: Control, lease: Lease
) -> None:
    claim = control.causes.claim(lease, *CHANGE, "run 1")
    now = succeed(control, lease)
    control.causes.claim(now, *CHANGE, "run 2")
    with pytest.raises(LeaseLost, match=r"data.changed v2 was taken over"):
        control.causes.finish(now, claim, "registered")


def test_settling_again_after_a_lost_answer_is_taken(control: Control, lease: Lease) -> None:
    claim = control.causes.claim(lease, *CHANGE, "run 1")
    settled = control.causes.finish(lease, claim, "registered")
    assert control.causes.finish(lease, claim, "registered") == settled


def test_an_empty_outcome_settles_nothing(control: Control, lease: Lease) -> None:
    claim = control.causes.claim(lease, *CHANGE, "run 1")
    with pytest.raises(ValueError, match="empty outcome"):
        control.causes.finish(lease, claim, "")


def test_causes_are_found_and_listed_in_order(control: Control, lease: Lease) -> None:
    claims = [control.causes.claim(lease, "data.changed", f"v{n}", "run 1") for n in (3, 1, 2)]
    assert control.causes.list_claims("employment") == claims
    assert control.causes.list_claims("income") == []
    assert control.causes.find("employment", "data.changed", "v1") == claims[1]
    assert control.causes.find("employment", "data.changed", "v9") is None


def test_of_many_processes_one_answers_a_cause(store: Home) -> None:
    assert sorted(race(store.root, "cause", 4)) == ["False"] * 3 + ["True"]
