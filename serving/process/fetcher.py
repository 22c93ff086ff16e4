"""The process that brings models from the registry into the cache; no other one imports MLflow.

    python -m serving.process.fetcher

It reads the routes each second and fetches each version that one of them names, proves that it
loads and answers as it was judged, and lets the workers find it. The registry or the store being
away changes nothing: what is in the cache goes on serving.
"""

import logging
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from serving.models.cache import CacheEntry, Manifest, ModelCache
from serving.models.loading import load_cached
from sluice.adapters.control.store import open_control
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.adapters.registry.model_files import SERVING_FOLDER
from sluice.config.data import DataConfig
from sluice.control.route import Route
from sluice.errors import DataMissing, Fault, ModelDamaged, Refused, SluiceError
from sluice.home import find_home

POLL_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""How long a version that was refused, or could not be fetched, is left alone."""
SPARE = 5
"""Newest models of a service that stay, named by a route or not: what one rolls back to."""
Key = tuple[str, int]
LOG = logging.getLogger("sluice.fetching")


class Fetcher:
    """Brings what routes name into the cache; several may run, one at a time is at work."""

    def __init__(
        self, list_routes: Callable[[], list[Route]], registry: Registry, cache: ModelCache
    ) -> None:
        self._list_routes, self._registry, self._cache = list_routes, registry, cache
        self._later: dict[Key, float] = {}
        self._pruned: set[Key] = set()

    def fetch_named(self, now: float) -> list[CacheEntry]:
        """Fetch what the routes name and the cache lacks; give the entries that were published.

        `now` is in monotonic seconds. What fails is logged and tried again after a while.

        Raises:
            Fault: the control store cannot be reached.
        """
        wanted = list_named(self._list_routes())
        missing = [key for key in wanted if now >= self._later.get(key, now) and self._lacks(key)]
        published = [entry for key in missing if (entry := self._try(key, now))]
        named = set(wanted)
        if named and named != self._pruned and not any(map(self._lacks, wanted)):
            self._cache.prune(named, SPARE)
            self._pruned = named
        return published

    def _lacks(self, key: Key) -> bool:
        entry = self._cache.find(*key)
        return entry is None or bool(entry.refused)

    def _try(self, key: Key, now: float) -> CacheEntry | None:
        name = f"{key[0]} v{key[1]}"
        try:
            with self._cache.fetch_alone():
                if not self._lacks(key):  # another fetcher was first
                    return None
                entry = self._fetch(*key)
        except (SluiceError, OSError) as error:
            self._later[key] = now + AGAIN_SECONDS
            level = logging.WARNING if isinstance(error, Fault | OSError) else logging.ERROR
            LOG.log(level, "%s was not fetched, again in %.0f s: %s", name, AGAIN_SECONDS, error)
            return None
        self._later.pop(key, None)
        return entry

    def _fetch(self, service: str, version: int) -> CacheEntry:
        """Fetch a version, prove it, publish it.

        Raises:
            Refused: the registry does not have it, or it does not load or answer as it was judged.
            Fault: the registry or the disk cannot be reached.
        """
        found = find_version(self._registry, service, version)
        if found is None:
            raise DataMissing(f"the registry has no {service} v{version}")
        with tempfile.TemporaryDirectory() as work:
            source = self._registry.download_model(found, Path(work))
            entry = self._cache.keep(self._describe(found, source), source)
        try:
            model = load_cached(self._cache, entry)
        except Refused as error:
            self._cache.discard(entry)
            self._cache.publish(CacheEntry(service, version, refused=str(error)))
            raise
        self._cache.publish(entry)
        LOG.info(
            "%s v%d is in the cache, %s serves%s, proved on %d rows",
            *(service, version, model.form.name, f" ({model.why})" if model.why else ""),
            model.proved,
        )
        return entry

    def _describe(self, version: ModelVersionRef, source: Path) -> Manifest:
        """Give the facts of a version, from its release's own configuration."""
        text = self._registry.read_text(version.run_id, "config.yaml")
        try:
            values = yaml.safe_load(text)
            data = DataConfig.model_validate(values["data"])
            kind, problem = values["model"]["kind"], values["problem"]
        except (LookupError, TypeError, ValueError, yaml.YAMLError) as error:
            name = f"{version.service} v{version.version}"
            raise ModelDamaged(f"{name}: config.yaml of its run is not a service's") from error
        has_graph = (source / SERVING_FOLDER).is_dir()
        form = version.tags.get("sluice.serving.form", "onnx" if has_graph else "sklearn")
        return Manifest(
            version.service,
            version.version,
            version.run_id,
            kind,
            problem,
            "onnx" if form == "onnx" else "sklearn",
            data.model_dump(mode="json"),
            {},
        )


def list_named(routes: Iterable[Route]) -> list[Key]:
    """Give each version that a route names, champions first."""
    known = list(routes)
    champions = [(route.service, route.champion) for route in known]
    return champions + [(route.service, route.candidate) for route in known if route.candidate]


def run_fetcher(ended: threading.Event) -> None:
    """Fetch each second until `ended` is set; faults are logged, once while they last."""
    home = find_home()
    control = open_control(home)
    fetcher = Fetcher(control.routes.list_routes, open_registry(home), ModelCache(home.models))
    is_ready, told = False, ""
    while not ended.is_set():
        try:
            if not is_ready:
                control.prepare()
                is_ready = True
            fetcher.fetch_named(time.monotonic())
            told = ""
        except (SluiceError, OSError) as error:
            if str(error) != told:
                LOG.warning("routes could not be read: %s", error)
            told = str(error)
        ended.wait(POLL_SECONDS)


def main() -> None:
    """Run the fetcher until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    run_fetcher(ended)


if __name__ == "__main__":
    main()
