"""A part that ends now and then is started again; one that ends all the time is not."""

from sluice.adapters.server.background import Restarts


def test_each_restart_within_a_minute_waits_longer() -> None:
    restarts = Restarts()
    assert [restarts.allow(now) for now in (0.0, 5.0, 10.0)] == [1.0, 2.0, 4.0]


def test_the_fourth_within_a_minute_is_not_allowed() -> None:
    restarts = Restarts()
    assert [restarts.allow(now) for now in (0.0, 20.0, 40.0, 59.0)][-1] is None


def test_what_lies_a_minute_back_is_forgotten() -> None:
    restarts = Restarts()
    assert [restarts.allow(now) for now in (0.0, 100.0, 200.0, 300.0)] == [1.0] * 4
