"""What became of many simulated rollouts."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.simulation.traffic import Floats


class Ending(IntEnum):
    """How a rollout ended."""

    UNDECIDED = 0
    PROMOTED = 1
    ROLLED_BACK = 2
    HELD = 3
    PAUSED = 4


@dataclass(frozen=True)
class Outcome:
    """One entry a rollout; times in seconds since its start."""

    endings: NDArray[np.intp]
    rules: NDArray[np.intp]
    """Place in `names` of what rolled it back or paused it; -1 where nothing did."""
    seconds: Floats
    """When it ended."""
    exposed: Floats
    """Requests that the candidate was to answer for users, shadow aside."""
    passed: Floats
    """When it passed each stage, counted from the stage's start, shape (stages, rollouts); nan."""
    spent: Floats
    """Candidate requests since each stage's pass test began, until it passed; nan."""
    names: tuple[str, ...]
    stages: tuple[str, ...]
    measured: float
    """Share of the rollouts in which clustering was measured at the end."""

    def share(self, ending: Ending) -> float:
        """Give the share of rollouts that ended so."""
        return float(np.mean(self.endings == ending))

    def median_seconds(self, ending: Ending, start: float = 0.0) -> float | None:
        """Give the median time from `start` to an ending, None where none ended so."""
        chosen = self.seconds[self.endings == ending]
        return float(np.median(chosen) - start) if len(chosen) else None

    def median_exposed(self, ending: Ending) -> float | None:
        """Give the median of the requests exposed until an ending, None where none ended so."""
        chosen = self.exposed[self.endings == ending]
        return float(np.median(chosen)) if len(chosen) else None

    def count_rules(self, ending: Ending = Ending.ROLLED_BACK) -> dict[str, int]:
        """Count what rolled back, or paused, most often first."""
        found = {
            name: int(np.sum((self.rules == place) & (self.endings == ending)))
            for place, name in enumerate(self.names)
        }
        return dict(sorted(((k, v) for k, v in found.items() if v), key=lambda item: -item[1]))
