"""Ending on a signal: the first one ends the work, a later one only hastens the ending."""

import signal
import threading
from types import FrameType, TracebackType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndSignals:
    """While it is entered, Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt once, together.

    A SIGHUP that the caller ignores (`nohup`) stays ignored.
    """

    def __init__(self) -> None:
        self.number = 0
        """Which signal came first; 0 as long as none has come."""
        self._ending = False
        self._haste = threading.Event()
        self._before: dict[int, object] = {}

    def __enter__(self) -> "EndSignals":
        """Take the signals over."""
        for number in NUMBERS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def begin_ending(self) -> None:
        """Let no signal raise from here on."""
        self._ending = True

    def is_hasty(self) -> bool:
        """Whether a signal came while ending."""
        return self._haste.is_set()

    @property
    def exit_code(self) -> int:
        """The process's exit code: 0 after Ctrl-C, which is how one ends it."""
        return 0 if self.number in (0, signal.SIGINT) else 128 + self.number

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._ending:
            self._haste.set()
            return
        self._ending = True
        self.number = number
        raise KeyboardInterrupt
