"""The first signal begins the shutdown, later ones only make it urgent."""

import os
import signal

import pytest

from sluice.adapters.server.background import ShutdownSignals

NUMBERS = [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_the_first_signal_interrupts_and_decides_the_exit_code(number: int, code: int) -> None:
    inherited = signal.signal(number, signal.SIG_DFL)  # `nohup` leaves SIGHUP ignored
    try:
        raise_signal(number, code)
    finally:
        signal.signal(number, inherited)


def raise_signal(number: int, code: int) -> None:
    with ShutdownSignals() as signals:
        assert signals.exit_code == 0
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        assert signals.exit_code == code
        assert not signals.is_urgent()
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_during_shutdown_does_not_interrupt_it() -> None:
    with ShutdownSignals() as signals:
        signals.begin_shutdown()
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.is_urgent()
        assert signals.exit_code == 0


def test_a_closed_terminal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ShutdownSignals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)
