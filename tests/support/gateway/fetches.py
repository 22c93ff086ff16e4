"""Fetches in the test's own process: done at once, without a process's limits."""

from dataclasses import dataclass

from serving.models.cache import CacheEntry, ModelCache, ModelKey
from serving.process.fetcher import Fetcher, FetchOutcome
from serving.process.version_fetch import fetch_version, is_final
from sluice.adapters.control.admissions import Admissions
from sluice.adapters.registry.client import Registry
from sluice.errors import SluiceError


@dataclass(frozen=True)
class FinishedFetch:
    """A fetch that has ended already."""

    outcome: FetchOutcome

    def poll(self, _now: float) -> FetchOutcome:
        return self.outcome

    def end(self) -> None:
        return


def fetch_here(
    registry: Registry, admissions: Admissions, cache: ModelCache, key: ModelKey
) -> FinishedFetch:
    """Fetch a version now, as the process of a version does."""
    try:
        fetch_version(registry, admissions, cache, key)
    except (SluiceError, OSError) as error:
        return FinishedFetch(FetchOutcome(refused=is_final(error), reason=str(error)))
    return FinishedFetch(FetchOutcome(published=True))


def fetch_named(fetcher: Fetcher, now: float) -> list[CacheEntry]:
    """Start what is due, and return what was published."""
    return [*fetcher.fetch_named(now), *fetcher.fetch_named(now)]
