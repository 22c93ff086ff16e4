"""Who served since when: what becomes of a route's champion over time."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ServedVersion:
    """A version that became a service's champion: at which epoch of the route, and when.

    `since` is for people, and no lease depends on it; None where the route is older than this
    record of it.
    """

    version: int
    epoch: int
    since: datetime | None
