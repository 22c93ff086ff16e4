"""The process that brings models from the registry into the cache; no other one imports MLflow.

    python -m serving.process.fetcher

Each second it reads the routes and fetches the versions that they name and that may serve: every
gate passed them, or a person made an exception. A version becomes visible to the workers once it
loads, and its answers are those of its evaluation. While the registry or the store cannot be
reached, the models in the cache go on serving.
"""

import logging
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from serving.models.cache import CacheEntry, Manifest, ModelCache, ModelKey, list_named
from serving.models.loading import load_cached
from sluice.adapters.control.admissions import Admissions
from sluice.adapters.control.store import open_control
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.adapters.registry.model_files import SERVING_FOLDER
from sluice.config.data import DataConfig
from sluice.control.route import Route
from sluice.documents import parse_yaml
from sluice.errors import (
    DataMissing,
    Fault,
    ModelDamaged,
    PromotionRefused,
    Refused,
    SluiceError,
)
from sluice.home import find_home

POLL_SECONDS = 1.0
RETRY_SECONDS = 30.0
"""Pause after a version was refused, or could not be fetched."""
SPARE_MODELS = 5
"""Newest models of a service that stay in the cache, named or not, for a rollback."""
LOG = logging.getLogger("sluice.fetching")


class Fetcher:
    """Fetches the versions that routes name; of several fetchers one at a time works."""

    def __init__(
        self,
        list_routes: Callable[[], list[Route]],
        registry: Registry,
        cache: ModelCache,
        admissions: Admissions,
    ) -> None:
        self._list_routes, self._registry, self._cache = list_routes, registry, cache
        self._admissions = admissions
        self._later: dict[ModelKey, float] = {}
        self._pruned: set[ModelKey] = set()

    def fetch_named(self, now: float) -> list[CacheEntry]:
        """Fetch the named versions that the cache lacks, and return the published entries.

        `now` is in monotonic seconds. A failure is logged, and retried after `RETRY_SECONDS`.

        Raises:
            Fault: the control store cannot be reached.
        """
        named = list_named(self._list_routes())
        missing = [key for key in named if now >= self._later.get(key, now) and self._lacks(key)]
        published = [entry for key in missing if (entry := self._try(key, now))]
        if named and set(named) != self._pruned and not any(map(self._lacks, named)):
            self._cache.prune(set(named), SPARE_MODELS)
            self._pruned = set(named)
        return published

    def _lacks(self, key: ModelKey) -> bool:
        entry = self._cache.find(*key)
        return entry is None or bool(entry.refused)

    def _try(self, key: ModelKey, now: float) -> CacheEntry | None:
        name = f"{key[0]} v{key[1]}"
        try:
            with self._cache.fetch_alone():
                if not self._lacks(key):  # another fetcher was first
                    return None
                entry = self._fetch(*key)
        except (SluiceError, OSError) as error:
            self._later[key] = now + RETRY_SECONDS
            level = logging.WARNING if isinstance(error, Fault | OSError) else logging.ERROR
            LOG.log(level, "%s was not fetched, retry in %.0f s: %s", name, RETRY_SECONDS, error)
            return None
        self._later.pop(key, None)
        return entry

    def _fetch(self, service: str, version: int) -> CacheEntry:
        """Fetch a version, check it, and publish it.

        Raises:
            Refused: the registry does not have it, it may not serve, it does not load, or its
                answers differ.
            Fault: the registry or the disk cannot be reached.
        """
        found = find_version(self._registry, service, version)
        if found is None:
            raise DataMissing(f"the registry has no {service} v{version}")
        admission = self._admissions.judge(service, version, found.tags)
        if admission.objection:
            refusal = f"it may not serve: {admission.objection}"
            self._cache.publish(CacheEntry(service, version, refused=refusal))
            raise PromotionRefused(refusal)
        with tempfile.TemporaryDirectory() as work:
            source = self._registry.download_model(found, Path(work))
            manifest = self._describe(found, source, admission.ground)
            entry = self._cache.keep(manifest, source)
        try:
            model = load_cached(self._cache, entry)
        except Refused as error:
            self._cache.discard(entry)
            self._cache.publish(CacheEntry(service, version, refused=str(error)))
            raise
        self._cache.publish(entry)
        reason = f" ({model.backend_reason})" if model.backend_reason else ""
        LOG.info(
            "%s v%d is in the cache: backend %s%s, checked on %d rows",
            *(service, version, model.backend.name, reason, model.checked_rows),
        )
        return entry

    def _describe(self, version: ModelVersionRef, source: Path, ground: str) -> Manifest:
        """Return the facts of a version, from the configuration of its release."""
        text = self._registry.read_text(version.run_id, "config.yaml")
        try:
            values = parse_yaml(text)
            data = DataConfig.model_validate(values["data"])
            kind, problem = values["model"]["kind"], values["problem"]
        except (LookupError, TypeError, ValueError) as error:
            name = f"{version.service} v{version.version}"
            raise ModelDamaged(
                f"{name}: config.yaml of its run is not the configuration of a service"
            ) from error
        has_export = (source / SERVING_FOLDER).is_dir()
        form = version.tags.get("sluice.serving.form", "onnx" if has_export else "sklearn")
        return Manifest(
            version.service,
            version.version,
            version.run_id,
            kind,
            problem,
            "onnx" if form == "onnx" else "sklearn",
            data.model_dump(mode="json"),
            {},
            ground,
        )


def run_fetcher(stopping: threading.Event) -> None:
    """Fetch each second until `stopping` is set; an error is logged once while it lasts."""
    home = find_home()
    control = open_control(home)
    routes, cache = control.routes.list_routes, ModelCache(home.models)
    fetcher = Fetcher(routes, open_registry(home), cache, control.admissions)
    is_ready, problem = False, ""
    while not stopping.is_set():
        try:
            if not is_ready:
                control.prepare()
                is_ready = True
            fetcher.fetch_named(time.monotonic())
            problem = ""
        except (SluiceError, OSError) as error:
            if str(error) != problem:
                LOG.warning("routes could not be read: %s", error)
            problem = str(error)
        stopping.wait(POLL_SECONDS)


def main() -> None:
    """Run the fetcher until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    run_fetcher(stopping)


if __name__ == "__main__":
    main()
