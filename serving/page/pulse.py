"""Whether a rollout's controller is at work, by what moves in the control store.

Clocks of two machines are not compared for long: once a tick was seen to come, how long none has
come is told by this process's own clock (Gray and Cheriton 1989).
"""

from dataclasses import dataclass

from serving.page.view import Pulse
from sluice.control.lease import Lease, LeaseWatch
from sluice.rollout.course import Course, Outline

LEAST_SECONDS, BLOCKS = 8.0, 4.0
"""A tick is late after so many seconds, or so many blocks, whichever is longer."""


@dataclass(frozen=True)
class Beat:
    """The tick that was seen last, and since when (monotonic seconds)."""

    number: int
    tick: int
    since: float


class PulseWatch:
    """One service's open rollout, watched from look to look."""

    def __init__(self) -> None:
        self._beat: Beat | None = None
        self._watch = LeaseWatch()
        self._first: Lease | None = None

    def look(
        self, outline: Outline, course: Course, lease: Lease, now: float, clock: float
    ) -> Pulse:
        """Give the pulse; `now` is monotonic, `clock` the time of day, for the first look only."""
        beat = self._beat
        if beat is None or beat.number != outline.number:
            age = max(0.0, clock - outline.written.timestamp())
            beat = Beat(outline.number, outline.tick, now - age)
        elif beat.tick != outline.tick:
            beat = Beat(outline.number, outline.tick, now)
        self._beat = beat
        age, gone = now - beat.since, self._watch.has_lapsed(lease, now)
        self._first = self._first or lease
        renews = lease != self._first and not gone
        late = age > max(LEAST_SECONDS, BLOCKS * course.policy.block)
        controller = "" if lease.is_free else lease.holder.partition(" (")[0]
        return Pulse(age, controller, _warn(age if late else 0.0, gone, renews, course))


def _warn(late: float, gone: bool, renews: bool, course: Course) -> str:
    """Say what is amiss: ticks that are late by so many seconds, a controller that is gone."""
    parts = [f"No tick for {say_seconds(late)}: what is shown is old."] if late else []
    if gone:
        serves = course.candidate if course.is_serving else course.champion
        parts.append(
            f"The controller is gone. v{serves} serves alone {course.terms.lease_ttl:g} s after "
            "its last sign; the keeper starts another controller within minutes."
        )
    elif late and renews:
        parts.append("Its controller is alive, but writes nothing.")
    return " ".join(parts)


def say_seconds(seconds: float) -> str:
    """Give a duration in a person's words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"
