"""From a cached folder to a model that answers: its files proved, its answers to the sample too."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from serving.cache import Entry, ModelCache
from serving.forms import Form, OnnxForm, TrainedForm
from serving.manifest import SERVED_FILES, Manifest
from serving.prediction import AnswerShape
from serving.predictor import LoadedModel
from serving.proof import Proof
from serving.signature import Signature
from sluice.adapters.registry.model_file import MODEL_FILE, load_model
from sluice.adapters.registry.onnx_model import SERVING_FOLDER, load_serving
from sluice.errors import DataMissing, ModelDamaged, Refused
from sluice.models.serving.sample import SAMPLE_FILE, ParitySample


def load_cached(cache: ModelCache, entry: Entry) -> LoadedModel:
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
    entry: Entry
    sample: ParitySample | None

    @property
    def signature(self) -> Signature:
        data = self.manifest.data_config
        return Signature({name: data.columns[name] for name in data.features})


def _load_graph(kept: _Kept) -> LoadedModel:
    served, signature = load_serving(kept.folder / SERVING_FOLDER), kept.signature
    form, answering = OnnxForm(served, signature), served.form.answering
    positive = answering.classes[answering.positive] if answering.classes else None
    return _prove(kept, signature, form, AnswerShape(answering.classes, positive))


def _load_trained(kept: _Kept) -> LoadedModel:
    manifest, signature = kept.manifest, kept.signature
    pipeline, data = load_model(kept.folder / MODEL_FILE), manifest.data_config
    form = TrainedForm(pipeline, signature, data, manifest.problem)
    classes = [] if manifest.problem == "regression" else pipeline.classes_.tolist()
    return _prove(kept, signature, form, AnswerShape(classes, data.positive))


def _prove(kept: _Kept, signature: Signature, form: Form, shape: AnswerShape) -> LoadedModel:
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
