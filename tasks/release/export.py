"""The served form of a candidate, and the parity gate's evidence."""

from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.model_files import load_serving, save_serving
from sluice.config.service import ServiceConfig
from sluice.errors import ServingImpossible
from sluice.gates.parity import ParityEvidence, ParityGate, measure_parity
from sluice.home import find_home
from sluice.models.export.form import build_onnx_export, take_columns
from sluice.models.prediction import predict
from sluice.verdict import Verdict
from tasks.release.recording import record_verdict
from tasks.release.release import Release
from tasks.release.rows import RowSplit, read_part
from tasks.release.training import TrainedModel
from tasks.run.decorators import effect


@dataclass(frozen=True)
class ExportedFiles:
    """The folder of a served form's files, or why there are none."""

    path: str = ""
    problem: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return Path(self.path)


@effect
def build_export(config: ServiceConfig, release: Release, model: TrainedModel) -> ExportedFiles:
    """Build the served form and keep it in the release's scratch folder; say so if it cannot be.

    Raises:
        Fault: the folder cannot be written to.
    """
    if config.serving == "sklearn":
        return ExportedFiles(problem="the configuration asks for the trained form")
    try:
        form = build_onnx_export(model.open(), config.data)
    except ServingImpossible as error:
        return ExportedFiles(problem=str(error))
    folder = release.folder / "serving"
    save_serving(form, folder)
    size = len(form.graph) / 1e6
    get_run_logger().info("built the served form: %s, ONNX, %.1f MB", config.model.kind, size)
    return ExportedFiles(path=str(folder))


@effect
def compare_export(
    config: ServiceConfig,
    release: Release,
    parts: RowSplit,
    model: TrainedModel,
    served: ExportedFiles,
) -> Verdict:
    """Judge whether the served form answers as the trained one; record verdict and evidence.

    Raises:
        Fault: the table or the registry cannot be reached.
    """
    evidence = ParityEvidence(missing=served.problem)
    if served.path:
        evidence = compare_forms(config, release, parts, model, served)
    verdict = ParityGate(config.serving).judge(evidence)
    record_verdict(release, verdict)
    registry = open_registry(find_home())
    registry.log_json(release.run_id, "evidence/parity.json", evidence.to_dict())
    return verdict


def compare_forms(
    config: ServiceConfig,
    release: Release,
    parts: RowSplit,
    model: TrainedModel,
    served: ExportedFiles,
) -> ParityEvidence:
    """Ask both forms, each read from its files, about the same held-out rows.

    Raises:
        Fault: the table cannot be reached.
    """
    frame = read_part(config, release, parts, "compared")
    trained = predict(model.open(), frame, config.data, config.problem)
    try:
        answers = load_serving(served.folder).predict(take_columns(frame, config.data))
    except ServingImpossible as error:
        return ParityEvidence(missing=str(error))
    return measure_parity(trained, answers)
