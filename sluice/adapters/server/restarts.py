"""How often a part that ended is started again: three times in a minute, with a growing pause."""

from dataclasses import dataclass, field

MOST, WINDOW_SECONDS = 3, 60.0


@dataclass
class Restarts:
    """The restarts of one part; `now` is the caller's monotonic seconds."""

    moments: list[float] = field(default_factory=list)

    def allow(self, now: float) -> float | None:
        """Give the seconds to wait before starting it again; None where it ended too often."""
        self.moments = [item for item in self.moments if now - item < WINDOW_SECONDS]
        if len(self.moments) == MOST:
            return None
        self.moments.append(now)
        return float(2 ** (len(self.moments) - 1))
