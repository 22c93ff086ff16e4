"""The ONNX export of a candidate, and the parity gate's evidence."""

from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.model_files import load_export, save_export
from sluice.config.service import ServiceConfig
from sluice.errors import ServingImpossible
from sluice.gates.parity import ParityEvidence, ParityGate, measure_parity
from sluice.home import find_home
from sluice.models.export.onnx_export import build_onnx_export, take_columns
from sluice.verdict import Verdict
from tasks.release.recording import record_verdict
from tasks.release.release import Release
from tasks.release.rows import RowSplit, read_compared
from tasks.release.scoring import score_final
from tasks.release.training import TrainedModel
from tasks.run.decorators import effect


@dataclass(frozen=True)
class ExportedFiles:
    """The folder of an ONNX export's files, or the reason why there are none."""

    path: str = ""
    reason: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return Path(self.path)


@effect
def export_model(config: ServiceConfig, release: Release, model: TrainedModel) -> ExportedFiles:
    """Build the ONNX export in the release's scratch folder; without one, return the reason.

    Raises:
        Fault: the folder cannot be written to.
    """
    if config.serving == "sklearn":
        return ExportedFiles(reason="the configuration has the native model serve")
    try:
        export = build_onnx_export(model.open(), config.data)
    except ServingImpossible as error:
        return ExportedFiles(reason=str(error))
    folder = release.folder / "serving"
    save_export(export, folder)
    size = len(export.graph) / 1e6
    get_run_logger().info("built the ONNX export of %s: %.1f MB", config.model.kind, size)
    return ExportedFiles(path=str(folder))


@effect
def compare_export(
    config: ServiceConfig,
    release: Release,
    split: RowSplit,
    model: TrainedModel,
    export: ExportedFiles,
) -> Verdict:
    """Judge whether export and native model predict the same; record verdict and evidence.

    Raises:
        Fault: the table or the registry cannot be reached.
    """
    evidence = ParityEvidence(missing=export.reason)
    if export.path:
        evidence = compare_predictions(config, release, split, model, export)
    verdict = ParityGate(config.serving).judge(evidence)
    record_verdict(release, verdict)
    registry = open_registry(find_home())
    registry.log_json(release.run_id, "evidence/parity.json", evidence.to_dict())
    return verdict


def compare_predictions(
    config: ServiceConfig,
    release: Release,
    split: RowSplit,
    model: TrainedModel,
    export: ExportedFiles,
) -> ParityEvidence:
    """Compare the predictions of export and native model, read from files, on held-out rows.

    Raises:
        Fault: the table cannot be reached.
    """
    frame = read_compared(config, release, split)
    native = score_final(config, release, split, model)
    try:
        exported = load_export(export.folder).predict(take_columns(frame, config.data))
    except ServingImpossible as error:
        return ParityEvidence(missing=str(error))
    return measure_parity(native, exported)
