"""A registered version in the form that serves: its ONNX export where it agrees, else the model.

Gateway and batch prediction choose the form by the same rules.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.adapters.registry.client import ModelVersionRef, Registry
from sluice.adapters.registry.model_files import (
    MODEL_FILE,
    SERVING_FOLDER,
    load_export,
    load_model,
)
from sluice.adapters.security.keys import hash_served
from sluice.adapters.security.signatures import SignatureCheck
from sluice.config.data import DataConfig
from sluice.config.security.gate import load_security
from sluice.errors import DataInvalid, ModelDamaged
from sluice.home import environment_name
from sluice.models.export.form import Form, VersionFacts, choose_form, read_facts
from sluice.models.export.onnx_export import SAMPLE_FILE, ParitySample, take_columns
from sluice.models.prediction import predict
from sluice.scoring.output import AnswerFormat
from sluice.security.signature import FILE as SIGNATURE_FILE
from sluice.security.signature import describe_files
from sluice.stats.holdout import Predictions
from sluice.stats.parity import describe_difference

if TYPE_CHECKING:
    import pandas as pd

Answer = Callable[["pd.DataFrame"], Predictions]
"""Returns predictions for rows whose features have the kinds of the configuration."""
Loaded = tuple[Form, Answer, AnswerFormat]


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A version in memory that answers many rows at once, checked on its parity sample.

    `reason` says why the native model answers; it is empty where the ONNX export does.
    """

    version: ModelVersionRef
    facts: VersionFacts
    form: Form
    reason: str
    format: AnswerFormat
    answer: Answer


def load_served(registry: Registry, version: ModelVersionRef) -> ServedModel:
    """Load a version from the registry as a gateway would; it takes seconds.

    Raises:
        SignatureInvalid: its files are not signed, or not the signed ones.
        ModelDamaged: its configuration or its sample cannot be read, or no form of it agrees with
            the sample.
        ModelUntrusted: the model file has a type that was not reviewed; nothing was built.
        DataInvalid: the model file is not a model.
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    with tempfile.TemporaryDirectory() as work:
        folder = registry.download_model(version, Path(work))
        has_export = (folder / SERVING_FOLDER).is_dir()
        text = registry.read_text(version.run_id, "config.yaml")
        check_signature(registry, version, folder, text)
        name = f"{version.service} v{version.version}"
        facts = read_facts(name, version.tags, text, has_export)
        files = _Files(folder, version, facts, _read_sample(folder))
        model, reason = choose_form(facts.form, has_export, files.load_onnx, files.load_native)
    form, answer, written = model
    return ServedModel(version, facts, form, reason, written, answer)


def check_signature(
    registry: Registry, version: ModelVersionRef, folder: Path, config: str
) -> tuple[str, str]:
    """Hold a version's files, copied into a folder, and its configuration against its signature.

    Returns the text of `signature.json`, empty where there is none, and who signed.

    Raises:
        SignatureInvalid: they are not signed, by no trusted key, or not the signed ones.
        ConfigInvalid: the configuration of signatures is wrong.
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    name = f"{version.service} v{version.version}"
    text = registry.find_text(version.run_id, SIGNATURE_FILE) or ""
    found = describe_files(version.service, version.run_id, hash_served(folder), config)
    check = SignatureCheck(load_security(environment_name()).signatures, registry.keys)
    return text, check.verify(text, found, name)


@dataclass(frozen=True)
class _Files:
    """The files of a version, and its sample: records with the answers of the evaluation."""

    folder: Path
    version: ModelVersionRef
    facts: VersionFacts
    sample: ParitySample | None

    def load_onnx(self) -> Loaded:
        exported, data = load_export(self.folder / SERVING_FOLDER), self.facts.data
        post = exported.export.postprocessing
        positive = post.classes[post.positive] if post.classes else None

        def answer(frame: "pd.DataFrame") -> Predictions:
            return exported.predict(take_columns(frame, data))

        self._check(answer, "ONNX export")
        return "onnx", answer, AnswerFormat(post.classes, positive)

    def load_native(self) -> Loaded:
        pipeline, facts = load_model(self.folder / MODEL_FILE), self.facts
        classes: tuple[Any, ...] = ()
        if facts.problem != "regression":
            classes = tuple(pipeline.classes_.tolist())

        def answer(frame: "pd.DataFrame") -> Predictions:
            return predict(pipeline, frame, facts.data, facts.problem)

        self._check(answer, "native model")
        return "sklearn", answer, AnswerFormat(classes, facts.data.positive)

    def _check(self, answer: Answer, name: str) -> None:
        """Check that a form answers the sample as the evaluated model did.

        Raises:
            ModelDamaged: it does not.
        """
        if self.sample is None or not self.sample.records:
            return
        frame = make_sample_frame(self.sample, self.facts.data)
        if fault := describe_difference(self.sample.predictions, answer(frame)):
            label = f"{self.version.service} v{self.version.version}"
            raise ModelDamaged(f"{label}, {name}: {fault}")


def _read_sample(folder: Path) -> ParitySample | None:
    path = folder / SAMPLE_FILE
    return ParitySample.from_json(path.read_bytes()) if path.exists() else None


def make_sample_frame(sample: ParitySample, data: DataConfig) -> "pd.DataFrame":
    """Return the sample's records, which are JSON, as rows of the model's kinds.

    Raises:
        DataInvalid: a record's value is not of its column's kind.
    """
    import pyarrow as pa

    from sluice.data.schema import ARROW_TYPES
    from sluice.scoring.inputs import make_frame, sift_inputs

    kinds = {name: data.columns[name] for name in data.features}
    columns = {
        name: pa.array(
            [record[name] for record in sample.records],
            pa.string() if kind == "timestamp" else ARROW_TYPES[kind],
        )
        for name, kind in kinds.items()
    }
    found = sift_inputs(pa.table(columns), data, (), SAMPLE_FILE)
    if found.bad:
        raise DataInvalid(f"{SAMPLE_FILE}: {found.bad[0].describe()}")
    return make_frame(found.features, data)
