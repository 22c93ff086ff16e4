"""From the plain values that a gateway exports to one reading a worker life."""

from collections.abc import Iterable, Mapping
from typing import Any

from sluice.rollout.counters import Reading, add_arms
from sluice.rollout.facts import Arm

PARTS = 1_000_000
"""Costs and lacks are exported in millionths, so that sums are exact."""
SUMS = ("cost", "lack")
PLAIN = (
    "requests",
    "failures",
    "guardrails",
    "feedbacks",
    "negatives",
    "priced",
    "valued",
    "compared",
    "differing",
)


def build_readings(
    lives: Iterable[Mapping[str, Any]], service: str, epoch: int
) -> dict[str, Reading]:
    """Give each life's counts of a service under one epoch, by the life's name.

    Under another epoch the same life reads as nothing: counts begin at 0 with each route.
    """
    readings = {}
    for life in lives:
        arms = {"candidate": Arm(), "champion": Arm()}
        for entry in life["counters"]:
            wanted = (entry["service"], entry["epoch"], entry["stage"]) == (service, epoch, None)
            if wanted and entry["arm"] in arms:
                arms[entry["arm"]] = add_arms(arms[entry["arm"]], read_entry(entry))
        readings[life["life"]] = Reading(life["started"], arms["candidate"], arms["champion"])
    return readings


def read_entry(entry: Mapping[str, Any]) -> Arm:
    """Build one arm's counts from an exported entry."""
    latencies = {int(bucket): float(n) for bucket, n in entry["latencies"].items()}
    plain = {name: float(entry[name]) for name in PLAIN}
    return Arm(latencies=latencies, **plain, **{name: entry[name] / PARTS for name in SUMS})
