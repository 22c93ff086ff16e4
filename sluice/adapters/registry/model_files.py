"""Model files, native and ONNX, without pickle; only reviewed types are loaded."""

import io
import json
import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.adapters.storage import draft_file, explain_os_error
from sluice.documents import DocumentInvalid, Limits, parse_json
from sluice.errors import DataInvalid, DataMissing, ModelUntrusted, ServingImpossible
from sluice.models.export.graph import NUMBERS, SCORES
from sluice.models.export.onnx_export import OnnxExport
from sluice.models.export.postprocessing import Postprocessing
from sluice.models.export.preprocessing import Preprocessing, Rows
from sluice.stats.holdout import Predictions

MODEL_FILE = "model.skops"
"""MLflow's name of the pipeline's file in a model's folder."""
SERVING_FOLDER = "serving"
"""The folder of the ONNX export's files in a model's folder."""
GRAPH_FILE, PREPROCESSING_FILE = "serving.onnx", "preprocessing.json"
POSTPROCESSING_FILE = "answering.json"
"""The name in every registered model; another one could not open the older models."""
BATCH_ROWS = 4096
"""Rows that go through the graph at once."""
ERRORS_ONLY = 3
"""Log level of onnxruntime."""
TRUSTED_TYPES: tuple[str, ...] = (
    "functools.partial",  # of check_array: gradient boosting prepares category columns with it
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.KFold",  # of the target encoder: three plain values
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "sluice.models.encoders.dates.DateEncoder",
    "sluice.models.encoders.texts.NgramEncoder",
    "sluice.models.encoders.texts.TextEncoder",
    "sluice.models.timestamps.TimestampEncoder",
)
"""Trusted types in addition to those of skops. Each holds arrays and plain values only, and loading
one runs no code from the file: read a type's source before you add it."""


SCHEMA_FILE = "schema.json"
"""The library's description of all objects in a model file."""
SCHEMA_LIMITS = Limits(size=256 * 1024**2, depth=200, values=20_000_000)
LARGEST_MODEL = 4 * 1024**3
"""Bytes of a model file once it is unpacked."""
DAMAGE = (zipfile.BadZipFile, zlib.error, LookupError, ValueError, EOFError, RecursionError)
"""What the library raises for a file that is no model file, or not whole."""


def save_model(pipeline: Any, path: Path) -> None:
    """Write a fitted pipeline to a file, whole or not at all.

    Raises:
        ModelUntrusted: it contains a type that was not reviewed, and could not be read again.
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written to at present.
    """
    import skops.io

    content = skops.io.dumps(pipeline, compression=zipfile.ZIP_DEFLATED, compresslevel=6)
    _check_types(skops.io.get_untrusted_types(data=content), path)
    try:
        with draft_file(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise explain_os_error(error, f"model file {path.name}") from error


def load_model(path: Path) -> Any:
    """Read a pipeline that contains reviewed types only.

    Raises:
        DataMissing: there is no such file.
        DataInvalid: the file is truncated, damaged, or no model file.
        ModelUntrusted: it contains a type that was not reviewed; nothing was loaded.
        DataUnavailable: the file cannot be read at present.
    """
    import skops.io

    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataMissing(f"there is no model file {path}") from error
    except OSError as error:
        raise explain_os_error(error, f"model file {path.name}") from error
    try:
        _check_archive(content)
        untrusted = skops.io.get_untrusted_types(data=content)
    except (*DAMAGE, TypeError) as error:
        raise DataInvalid(_describe_damage(path, content, error)) from error
    _check_types(untrusted, path)
    try:
        return skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except DAMAGE as error:
        raise DataInvalid(_describe_damage(path, content, error)) from error


def _check_archive(content: bytes) -> None:
    """Look at what a model file unpacks to before the library builds anything from it.

    Raises:
        DocumentInvalid: its description is not JSON, too long or too deep, or it unpacks to more
            than a model may have.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > LARGEST_MODEL:
            raise DocumentInvalid(f"it unpacks to {unpacked:,} bytes; allowed: {LARGEST_MODEL:,}")
        with archive.open(SCHEMA_FILE) as file:
            found = parse_json(file.read(SCHEMA_LIMITS.size + 1), SCHEMA_LIMITS)
        if not isinstance(found, dict):
            raise DocumentInvalid(f"{SCHEMA_FILE} holds {type(found).__name__}, not an object")


def _check_types(found: list[str], path: Path) -> None:
    unknown = sorted(set(found) - set(TRUSTED_TYPES))
    if unknown:
        raise ModelUntrusted(
            f"model file {path.name} contains types that were not reviewed: {', '.join(unknown)}; "
            "review them and add them to TRUSTED_TYPES, or train again"
        )


def _describe_damage(path: Path, content: bytes, error: BaseException) -> str:
    found = f": {SCHEMA_FILE}: {error}" if isinstance(error, DocumentInvalid) else ""
    return (
        f"model file {path.name} ({len(content):,} bytes) is truncated, damaged, or no model file"
        f"{found}; fetch it again or train again"
    )


class ExportedModel:
    """An ONNX export with its session; one thread, because requests run in parallel."""

    def __init__(self, export: OnnxExport) -> None:
        self.export = export

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            return onnxruntime.InferenceSession(
                self.export.graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own classes have no public root
            raise ServingImpossible(
                f"onnxruntime cannot load {GRAPH_FILE}: {str(error)[:200]}"
            ) from error

    def run(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Run the graph on prepared numbers, shape (n, columns); return shape (n, targets).

        Raises:
            ServingImpossible: onnxruntime cannot load the graph.
        """
        starts = range(0, max(len(numbers), 1), BATCH_ROWS)
        session = self._session
        parts = [
            session.run([SCORES], {NUMBERS: numbers[at : at + BATCH_ROWS]})[0] for at in starts
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict(self, rows: Rows) -> Predictions:
        """Return predictions for raw columns.

        Raises:
            DataInvalid: a feature column is absent, infinite, or not of its kind.
            ServingImpossible: onnxruntime cannot load the graph.
        """
        return self.export.predict(self.run, rows)


def save_export(export: OnnxExport, folder: Path) -> None:
    """Write an ONNX export's files into a folder, each whole or not at all.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written to at present.
    """
    contents = {
        GRAPH_FILE: export.graph,
        PREPROCESSING_FILE: _write_json(export.preprocessing.to_dict()),
        POSTPROCESSING_FILE: _write_json(export.postprocessing.to_dict()),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with draft_file(folder / name) as draft:
                draft.write_bytes(content)
    except OSError as error:
        raise explain_os_error(error, f"ONNX export {folder.name}") from error


def load_export(folder: Path) -> ExportedModel:
    """Read an ONNX export from its files.

    Raises:
        DataMissing: a file is missing.
        ServingImpossible: a file is truncated, damaged, or of another kind.
        DataUnavailable: a file cannot be read at present.
    """
    names = (GRAPH_FILE, PREPROCESSING_FILE, POSTPROCESSING_FILE)
    try:
        graph, *texts = [(folder / name).read_bytes() for name in names]
    except FileNotFoundError as error:
        raise DataMissing(f"there is no ONNX export in {folder}: {error.filename}") from error
    except OSError as error:
        raise explain_os_error(error, f"ONNX export {folder.name}") from error
    try:
        preprocessing = Preprocessing.from_dict(parse_json(texts[0]))
        postprocessing = Postprocessing.from_dict(parse_json(texts[1]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        found = f" ({error})" if isinstance(error, DocumentInvalid) else ""
        raise ServingImpossible(
            f"ONNX export {folder.name}: {PREPROCESSING_FILE} or {POSTPROCESSING_FILE} is damaged"
            f"{found}; fetch it again or train again"
        ) from error
    return ExportedModel(OnnxExport(preprocessing, graph, postprocessing))


def _write_json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, allow_nan=False) + "\n").encode()
