"""From counters that only grow to one block's counts, restarts and resets seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sluice.rollout.facts import Arm


@dataclass(frozen=True)
class Reading:
    """One worker's counters as scraped: since when it counts, and the sums by arm."""

    started: str
    """Start stamp; another one means that the worker began anew at 0."""
    candidate: Arm = field(default_factory=Arm)
    champion: Arm = field(default_factory=Arm)


class CountersBroken(ValueError):  # noqa: N818
    """A worker's counters went backwards without a restart; the block cannot be used."""


def take_block(before: Mapping[str, Reading], now: Mapping[str, Reading]) -> tuple[Arm, Arm]:
    """Give what candidate and champion did between two scrapes, summed over workers by name.

    A worker with a new start stamp, or a new one, began at 0. One that is gone adds nothing: what
    it did after the scrape before is lost, for both arms alike.

    Raises:
        CountersBroken: a counter of a worker that did not restart became smaller.
    """
    candidate, champion = Arm(), Arm()
    for name, reading in now.items():
        last = before.get(name)
        if last is None or last.started != reading.started:
            last = Reading(reading.started)
        candidate = add_arms(candidate, subtract_arm(reading.candidate, last.candidate, name))
        champion = add_arms(champion, subtract_arm(reading.champion, last.champion, name))
    return candidate, champion


def add_arms(one: Arm, other: Arm) -> Arm:
    """Give the sum of two arms' counts."""
    return Arm(**{item.name: _combine(one, other, item.name, 1) for item in fields(Arm)})


def subtract_arm(now: Arm, before: Arm, worker: str) -> Arm:
    """Give what a worker counted in between.

    Raises:
        CountersBroken: a counter became smaller.
    """
    values = {item.name: _combine(now, before, item.name, -1) for item in fields(Arm)}
    for name, value in values.items():
        smallest = min(value.values(), default=0) if isinstance(value, Mapping) else value
        if smallest < 0:
            raise CountersBroken(f"{worker}: {name} went back by {-smallest:g} without a restart")
    return Arm(**values)


def _combine(one: Arm, other: Arm, name: str, sign: int) -> Any:
    a, b = getattr(one, name), getattr(other, name)
    if isinstance(a, Mapping):
        return {key: a.get(key, 0) + sign * b.get(key, 0) for key in {*a, *b}}
    return a + sign * b
