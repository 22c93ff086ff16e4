"""Load models from the cache, check them on their samples, and keep those that may be needed."""

import asyncio
import gc
import json
import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from serving.models.cache import (
    EXPORT_FILES,
    CacheEntry,
    Manifest,
    ModelCache,
    ModelKey,
    clean_reason,
)
from serving.models.predictors import (
    Backend,
    LoadedModel,
    ModelPredictor,
    NativeBackend,
    OnnxBackend,
    ParityCheck,
)
from serving.models.signature import AnswerShape, Signature
from sluice.adapters.registry.model_files import (
    MODEL_FILE,
    SERVING_FOLDER,
    load_export,
    load_model,
)
from sluice.errors import DataMissing, Fault, ModelDamaged, Refused, SluiceError
from sluice.models.export.form import choose_form
from sluice.models.export.onnx_export import SAMPLE_FILE, ParitySample

SPARE_MODELS = 2
"""Models of a service that stay loaded beside those that its route names, for a rollback."""
RETRY_SECONDS, LONGEST_SECONDS = 1.0, 60.0
LOAD_SECONDS = 120.0
"""How long a version may take to load; then its thread is left, and it is not tried again."""
CLOSE_SECONDS = 120.0
"""How long a model's thread outlives its removal: no request takes so long."""
LOG = logging.getLogger("sluice.gateway")


def load_cached(cache: ModelCache, entry: CacheEntry) -> LoadedModel:
    """Load a model from the cache with the backend that serves; takes seconds, so use a thread.

    The ONNX export serves where the parity gate passed it and it agrees with the sample here too.
    Else the native model serves, if it agrees with the sample; `backend_reason` says why.

    Raises:
        DataMissing: a file is gone.
        ModelDamaged: a file is not what was fetched, or cannot be read, or neither backend agrees
            with the sample.
        ModelUntrusted: the model file has a type that was not reviewed; nothing was built.
        DataInvalid: the model file is not a model.
        DataUnavailable: a file cannot be read right now.
    """
    name = f"{entry.service} v{entry.version}"
    with _blame(f"{name}: its sidecar files"):
        manifest, folder = cache.open(entry)
        kept = _Kept(manifest, folder, entry, _read_sample(manifest, folder))
    has_export = set(EXPORT_FILES) <= set(manifest.files)

    def load_onnx() -> LoadedModel:
        with _blame(f"{name}: its ONNX export"):
            return _load_export(kept)

    def load_native() -> LoadedModel:
        with _blame(f"{name}: its native model"):
            return _load_native(kept)

    model, reason = choose_form(manifest.form, has_export, load_onnx, load_native)
    return replace(model, backend_reason=clean_reason(reason))


@contextmanager
def _blame(part: str) -> Iterator[None]:
    """Turn any error of a library that reads a version's files into a refusal of the version.

    Raises:
        ModelDamaged: a library raised an error of its own, recursed too deep or found no memory.
    """
    try:
        yield
    except (SluiceError, OSError):
        raise
    except Exception as error:  # whatever a file makes a library raise, others go on serving
        words = f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
        raise ModelDamaged(f"{part} cannot be read or do not answer: {words}") from error


@dataclass(frozen=True)
class _Kept:
    """The files of a version in the cache."""

    manifest: Manifest
    folder: Path
    entry: CacheEntry
    sample: ParitySample | None

    @property
    def signature(self) -> Signature:
        data = self.manifest.data_config
        return Signature({name: data.columns[name] for name in data.features})


def _load_export(kept: _Kept) -> LoadedModel:
    exported, signature = load_export(kept.folder / SERVING_FOLDER), kept.signature
    backend, postprocessing = OnnxBackend(exported, signature), exported.export.postprocessing
    positive = postprocessing.classes[postprocessing.positive] if postprocessing.classes else None
    return _check(kept, signature, backend, AnswerShape(postprocessing.classes, positive))


def _load_native(kept: _Kept) -> LoadedModel:
    manifest, signature = kept.manifest, kept.signature
    pipeline, data = load_model(kept.folder / MODEL_FILE), manifest.data_config
    backend = NativeBackend(pipeline, signature, data, manifest.problem)
    classes = [] if manifest.problem == "regression" else pipeline.classes_.tolist()
    return _check(kept, signature, backend, AnswerShape(classes, data.positive))


def _check(kept: _Kept, signature: Signature, backend: Backend, shape: AnswerShape) -> LoadedModel:
    """Return the model if its answers to the sample are those of its evaluation."""
    manifest, sample = kept.manifest, kept.sample
    parity_check = None
    if sample and sample.records:
        records = signature.decode(json.dumps(sample.records).encode())
        parity_check = ParityCheck(records, sample.predictions)
    model = LoadedModel(
        manifest.service,
        manifest.version,
        kept.entry.digest,
        signature,
        backend,
        shape,
        parity_check=parity_check,
    )
    if fault := model.find_fault():
        raise ModelDamaged(f"{manifest.name}, {backend.name}: {fault}")
    return model


def _read_sample(manifest: Manifest, folder: Path) -> ParitySample | None:
    if SAMPLE_FILE not in manifest.files:
        return None
    try:
        return ParitySample.from_json((folder / SAMPLE_FILE).read_bytes())
    except FileNotFoundError as error:
        raise DataMissing(f"{manifest.name}: there is no {SAMPLE_FILE}") from error


def exempt_from_collections() -> None:
    """Exempt all objects that live now from garbage collections, after a last one.

    A full collection stops the event loop while it visits every object: 60 ms with a model's
    libraries. Requests with many objects inside each other cause one every second.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class LoadedModels:
    """One worker's models; used from the event loop, they load in a thread."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache
        self._thread = ThreadPoolExecutor(1, "model-loader")
        self._champions: dict[ModelKey, ModelPredictor] = {}
        self._candidates: dict[ModelKey, ModelPredictor] = {}
        self._used: dict[ModelKey, None] = {}
        self._later: dict[ModelKey, tuple[float, float]] = {}
        self._reasons: dict[ModelKey, str] = {}

    def champion(self, service: str, version: int) -> ModelPredictor | None:
        """Return a version as the champion, inline where it can be; None until it is loaded."""
        return self._champions.get((service, version))

    def candidate(self, service: str, version: int) -> ModelPredictor | None:
        """Return a version as the candidate; None until it is loaded."""
        return self._candidates.get((service, version))

    def is_tried(self, service: str, version: int) -> bool:
        """Whether a version is loaded, or it is known why it cannot be now."""
        key = (service, version)
        return key in self._champions or key in self._reasons

    def explain_missing(self, service: str, version: int) -> str:
        """Return why a version is not loaded."""
        return self._reasons.get((service, version), f"v{version} is not loaded yet")

    async def load(self, named: Collection[ModelKey], now: float) -> bool:
        """Load the missing ones of these, one after the other; return whether any was loaded.

        A damaged model is removed from the cache, so that it is fetched again. A failed load is
        retried with growing pauses, up to a minute.
        """
        loaded = False
        for key in named:
            since, _ = self._later.get(key, (now, 0.0))
            if key in self._champions or now < since:
                continue
            loaded |= await self._load(key, now)
        self._use(named)
        if loaded:
            exempt_from_collections()
        return loaded

    def close(self) -> None:
        """Close all models; a load that is running is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        for predictor in (*self._champions.values(), *self._candidates.values()):
            predictor.close()

    async def _load(self, key: ModelKey, now: float) -> bool:
        entry = self._cache.find(*key)
        if entry is None or entry.refused:
            self._reasons[key] = self._explain_absent(key, entry)
            return False
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                model = await loop.run_in_executor(self._thread, load_cached, self._cache, entry)
        except TimeoutError:
            self._thread.shutdown(wait=False)
            self._thread = ThreadPoolExecutor(1, "model-loader")
            self._later[key] = (inf, inf)
            self._reasons[key] = f"v{key[1]} did not load within {LOAD_SECONDS:g} s"
            LOG.error("%s v%d did not load within %g s; others go on", *key, LOAD_SECONDS)
            return False
        except Exception as error:  # the other versions must be loaded whatever happens to one
            self._refuse(key, entry, error, now)
            return False
        self._add(key, model)
        return True

    def _explain_absent(self, key: ModelKey, entry: CacheEntry | None) -> str:
        if entry:
            return f"v{key[1]} was refused: {entry.refused}"
        problem = self._cache.find_problem(*key)
        return (
            f"v{key[1]} cannot be fetched: {problem}"
            if problem
            else f"v{key[1]} is not fetched yet"
        )

    def _add(self, key: ModelKey, model: LoadedModel) -> None:
        self._champions[key] = ModelPredictor(model, inline=True)
        self._candidates[key] = ModelPredictor(model, inline=False)
        self._later.pop(key, None)
        self._reasons.pop(key, None)
        reason = f" ({model.backend_reason})" if model.backend_reason else ""
        LOG.info("%s v%d is loaded with backend %s%s", *key, model.backend.name, reason)

    def _refuse(self, key: ModelKey, entry: CacheEntry, error: Exception, now: float) -> None:
        _, last = self._later.get(key, (0.0, 0.0))
        pause = min(max(2 * last, RETRY_SECONDS), LONGEST_SECONDS)
        self._later[key] = (now + pause, pause)
        self._reasons[key] = clean_reason(str(error))
        LOG.error("%s v%d was not loaded, retry in %.0f s: %s", *key, pause, error)
        if isinstance(error, Refused) and not isinstance(error, Fault):
            self._cache.discard(entry)

    def _use(self, named: Collection[ModelKey]) -> None:
        """Keep these and the ones used last; a dropped model has time to finish its requests."""
        for key in named:
            self._used.pop(key, None)
            self._used[key] = None
        kept: dict[str, int] = {}
        for key in reversed(list(self._used)):
            if key in named:
                continue
            kept[key[0]] = kept.get(key[0], 0) + 1
            if kept[key[0]] > SPARE_MODELS:
                self._drop(key)

    def _drop(self, key: ModelKey) -> None:
        self._used.pop(key, None)
        loop = asyncio.get_running_loop()
        for predictors in (self._champions, self._candidates):
            predictor = predictors.pop(key, None)
            if predictor is not None:
                loop.call_later(CLOSE_SECONDS, predictor.close)
