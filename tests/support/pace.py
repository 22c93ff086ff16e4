"""Limits of time that hold on any machine: how slow is this one, now?"""

import os
import time

LOOPS = 200_000
REFERENCE_SECONDS = 0.006
"""What the loop below takes on the machine for which the tests' limits were written, idle."""


def slowed(seconds: float) -> float:
    """Return a limit of wall time as it is on this machine now.

    It grows with both: processors that are slower, and others that want them too, at this moment
    or in the last minute (waiting processes a core).
    """
    wall, spent = _measure()
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return seconds * max(1.0, wall, spent * crowd)


def slowed_processor(seconds: float) -> float:
    """Return a limit of processor time as it is on this machine now."""
    return seconds * max(1.0, _measure()[1])


def _measure() -> tuple[float, float]:
    """Time a fixed loop: wall and processor time, as multiples of the reference."""
    began, used = time.perf_counter(), time.process_time()
    total = 0
    for number in range(LOOPS):
        total += number
    wall, spent = time.perf_counter() - began, time.process_time() - used
    return wall / REFERENCE_SECONDS, spent / REFERENCE_SECONDS
