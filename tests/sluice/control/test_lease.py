"""Whether a holder is gone is decided by a counter and the reader's own clock only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.control.lease import Lease, LeaseWatch

HELD = Lease("employment", "release").take("first", 15.0)


def test_a_lease_that_nobody_held_is_free() -> None:
    assert Lease("employment", "release").is_free


def test_a_free_lease_has_lapsed_at_once() -> None:
    assert LeaseWatch().has_lapsed(HELD.free(), 0.0)


def test_each_holder_gets_the_next_epoch() -> None:
    second = HELD.renew().free().take("second", 5.0)
    assert (second.epoch, second.renewal, second.holder) == (HELD.epoch + 1, 0, "second")


@pytest.mark.parametrize(("waited", "lapsed"), [(0.0, False), (14.9, False), (15.0, True)])
def test_a_counter_that_stands_still_for_its_ttl_has_lapsed(waited: float, lapsed: bool) -> None:
    watch = LeaseWatch()
    assert not watch.has_lapsed(HELD, 100.0)
    assert watch.has_lapsed(HELD, 100.0 + waited) is lapsed


def test_a_reader_who_has_just_come_waits_whatever_the_age() -> None:
    assert not LeaseWatch().has_lapsed(HELD, 1e9)


def test_a_new_holder_starts_the_time_anew() -> None:
    watch = LeaseWatch()
    watch.has_lapsed(HELD, 0.0)
    assert not watch.has_lapsed(HELD.take("second", 15.0), 20.0)


@given(
    st.lists(st.floats(0.0, 14.9), min_size=1, max_size=30), st.floats(-1e9, 1e9, allow_nan=False)
)
def test_a_lease_renewed_in_time_never_lapses(pauses: list[float], start: float) -> None:
    watch, lease, now = LeaseWatch(), HELD, start
    for pause in pauses:
        assert not watch.has_lapsed(lease, now)
        now += pause
        assert not watch.has_lapsed(lease, now)
        lease = lease.renew()
