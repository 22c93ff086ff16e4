"""Load models from the cache, prove them, and keep those that may be needed."""

import asyncio
import json
import logging
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from serving.models.cache import SERVED_FILES, CacheEntry, Manifest, ModelCache
from serving.models.predictors import (
    Backend,
    LoadedModel,
    ModelPredictor,
    NativeBackend,
    OnnxBackend,
    Proof,
)
from serving.models.signature import AnswerShape, Signature
from sluice.adapters.registry.model_files import (
    MODEL_FILE,
    SERVING_FOLDER,
    load_model,
    load_serving,
)
from sluice.errors import DataMissing, Fault, ModelDamaged, Refused, SluiceError
from sluice.models.export.form import SAMPLE_FILE, ParitySample


def load_cached(cache: ModelCache, entry: CacheEntry) -> LoadedModel:
    """Load a model from the cache, in the form that serves; seconds, so do it in a thread.

    The graph serves where the parity gate let it and the sample proves it again here. Else the
    trained form does, if the sample proves that; `why` says so.

    Raises:
        DataMissing: a file is gone.
        ModelDamaged: a file is not what was fetched, or neither form answers as it was judged.
        ModelUntrusted: the model file holds a type that nobody reviewed; nothing was built.
        DataInvalid: the model file is no model.
        DataUnavailable: a file cannot be read right now.
    """
    manifest, folder = cache.open(entry)
    kept = _Kept(manifest, folder, entry, _read_sample(manifest, folder))
    why = "" if manifest.form == "onnx" else "the parity gate let the trained form serve"
    if not why and not set(SERVED_FILES) <= set(manifest.files):
        why = "the registry has no graph of it"
    if not why:
        try:
            return _load_graph(kept)
        except Refused as error:
            why = str(error)
    return replace(_load_trained(kept), why=why)


@dataclass(frozen=True)
class _Kept:
    """A version as the cache has it."""

    manifest: Manifest
    folder: Path
    entry: CacheEntry
    sample: ParitySample | None

    @property
    def signature(self) -> Signature:
        data = self.manifest.data_config
        return Signature({name: data.columns[name] for name in data.features})


def _load_graph(kept: _Kept) -> LoadedModel:
    served, signature = load_serving(kept.folder / SERVING_FOLDER), kept.signature
    form, answering = OnnxBackend(served, signature), served.form.answering
    positive = answering.classes[answering.positive] if answering.classes else None
    return _prove(kept, signature, form, AnswerShape(answering.classes, positive))


def _load_trained(kept: _Kept) -> LoadedModel:
    manifest, signature = kept.manifest, kept.signature
    pipeline, data = load_model(kept.folder / MODEL_FILE), manifest.data_config
    form = NativeBackend(pipeline, signature, data, manifest.problem)
    classes = [] if manifest.problem == "regression" else pipeline.classes_.tolist()
    return _prove(kept, signature, form, AnswerShape(classes, data.positive))


def _prove(kept: _Kept, signature: Signature, form: Backend, shape: AnswerShape) -> LoadedModel:
    """Give the model once it answered the sample as the trained form did when it was judged."""
    manifest, sample = kept.manifest, kept.sample
    proof = None
    if sample and sample.records:
        records = signature.decode(json.dumps(sample.records).encode())
        proof = Proof(records, sample.answers)
    model = LoadedModel(
        manifest.service, manifest.version, kept.entry.digest, signature, form, shape, proof=proof
    )
    if fault := model.find_fault():
        raise ModelDamaged(f"{manifest.name}, {form.name}: {fault}")
    return model


def _read_sample(manifest: Manifest, folder: Path) -> ParitySample | None:
    if SAMPLE_FILE not in manifest.files:
        return None
    try:
        return ParitySample.from_json((folder / SAMPLE_FILE).read_bytes())
    except FileNotFoundError as error:
        raise DataMissing(f"{manifest.name}: there is no {SAMPLE_FILE}") from error


SPARE = 2
"""Models of a service that stay loaded beside those that its route names: the way back."""
AGAIN_SECONDS, LONGEST_SECONDS = 1.0, 60.0
CLOSE_SECONDS = 120.0
"""How long a model's threads outlive its removal: no request takes so long."""
Key = tuple[str, int]
LOG = logging.getLogger("sluice.gateway")


class LoadedModels:
    """One worker's models; all but the loading itself is done on the event loop."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache
        self._thread = ThreadPoolExecutor(1, "model-loader")
        self._champions: dict[Key, ModelPredictor] = {}
        self._candidates: dict[Key, ModelPredictor] = {}
        self._used: dict[Key, None] = {}
        self._later: dict[Key, tuple[float, float]] = {}
        self._reasons: dict[Key, str] = {}

    def champion(self, service: str, version: int) -> ModelPredictor | None:
        """Give a version as it answers for all, inline where it can; None until it is loaded."""
        return self._champions.get((service, version))

    def candidate(self, service: str, version: int) -> ModelPredictor | None:
        """Give a version as it answers on trial; None until it is loaded."""
        return self._candidates.get((service, version))

    def why_missing(self, service: str, version: int) -> str:
        """Say why a version is not here."""
        return self._reasons.get((service, version), f"v{version} is not loaded yet")

    async def load(self, wanted: Collection[Key], now: float) -> bool:
        """Load what of these is missing, one after the other; whether anything came.

        What is damaged is taken out of the cache, so that it is fetched anew; what fails is tried
        again later and later, up to once a minute.
        """
        came = False
        for key in wanted:
            since, _ = self._later.get(key, (now, 0.0))
            if key in self._champions or now < since:
                continue
            came |= await self._load(key, now)
        self._use(wanted)
        return came

    def close(self) -> None:
        """Let go of everything; a load under way is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        for predictor in (*self._champions.values(), *self._candidates.values()):
            predictor.close()

    async def _load(self, key: Key, now: float) -> bool:
        entry = self._cache.find(*key)
        if entry is None or entry.refused:
            self._reasons[key] = entry.refused if entry else f"v{key[1]} is not fetched yet"
            return False
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self._thread, load_cached, self._cache, entry)
        except (SluiceError, OSError) as error:
            self._refuse(key, entry, error, now)
            return False
        self._take(key, model)
        return True

    def _take(self, key: Key, model: LoadedModel) -> None:
        self._champions[key] = ModelPredictor(model, inline=True)
        self._candidates[key] = ModelPredictor(model, inline=False)
        self._later.pop(key, None)
        self._reasons.pop(key, None)
        why = f" ({model.why})" if model.why else ""
        LOG.info("%s v%d is loaded: %s serves%s", *key, model.form.name, why)

    def _refuse(self, key: Key, entry: CacheEntry, error: Exception, now: float) -> None:
        _, last = self._later.get(key, (0.0, 0.0))
        pause = min(max(2 * last, AGAIN_SECONDS), LONGEST_SECONDS)
        self._later[key] = (now + pause, pause)
        self._reasons[key] = str(error)
        LOG.error("%s v%d was not loaded, again in %.0f s: %s", *key, pause, error)
        if isinstance(error, Refused) and not isinstance(error, Fault):
            self._cache.discard(entry)

    def _use(self, wanted: Collection[Key]) -> None:
        """Keep what is wanted and what was wanted last; what goes has time to finish."""
        for key in wanted:
            self._used.pop(key, None)
            self._used[key] = None
        kept: dict[str, int] = {}
        for key in reversed(list(self._used)):
            if key in wanted:
                continue
            kept[key[0]] = kept.get(key[0], 0) + 1
            if kept[key[0]] > SPARE:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        self._used.pop(key, None)
        loop = asyncio.get_running_loop()
        for shelf in (self._champions, self._candidates):
            predictor = shelf.pop(key, None)
            if predictor is not None:
                loop.call_later(CLOSE_SECONDS, predictor.close)
