"""Models as files, native and ONNX, without pickle; only reviewed types are loaded."""

import json
import os
import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.adapters.storage import explain_os_error
from sluice.errors import DataInvalid, DataMissing, ModelUntrusted, ServingImpossible
from sluice.models.export.answering import Postprocessing
from sluice.models.export.form import OnnxExport
from sluice.models.export.graph import NUMBERS, SCORES
from sluice.models.export.preprocessing import Preprocessing, Rows
from sluice.stats.holdout import Predictions

MODEL_FILE = "model.skops"
"""What MLflow calls the pipeline's file in a model's folder."""
TRUSTED_TYPES: tuple[str, ...] = (
    "functools.partial",  # of check_array: how gradient boosting prepares columns with categories
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "sluice.models.timestamps.TimestampEncoder",
)
"""Types beyond those that skops trusts by itself. Each holds arrays and plain values only, and
building it runs no code of the file's: read its source before you add one."""


def save_model(pipeline: Any, path: Path) -> None:
    """Write a fitted pipeline; the file is there complete, or not at all.

    Raises:
        ModelUntrusted: it holds a type that nobody reviewed, and could not be read again.
        StorageFull: the disk leaves no room.
        DataUnavailable: the folder cannot be written to right now.
    """
    import skops.io

    content = skops.io.dumps(pipeline, compression=zipfile.ZIP_DEFLATED, compresslevel=6)
    _check_types(skops.io.get_untrusted_types(data=content), path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain_os_error(error, f"model file {path.name}") from error


def load_model(path: Path) -> Any:
    """Read a pipeline, built of reviewed types only.

    Raises:
        DataMissing: there is no such file.
        DataInvalid: the file is cut short, damaged, or no model file.
        ModelUntrusted: it holds a type that nobody reviewed; nothing was built.
        DataUnavailable: the file cannot be read right now.
    """
    import skops.io

    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataMissing(f"there is no model file {path}") from error
    except OSError as error:
        raise explain_os_error(error, f"model file {path.name}") from error
    try:
        untrusted = skops.io.get_untrusted_types(data=content)
    except (zipfile.BadZipFile, LookupError, ValueError, TypeError, EOFError) as error:
        raise DataInvalid(_describe_damage(path, content)) from error
    _check_types(untrusted, path)
    try:
        return skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except (zipfile.BadZipFile, zlib.error, LookupError, ValueError, EOFError) as error:
        raise DataInvalid(_describe_damage(path, content)) from error


def _check_types(found: list[str], path: Path) -> None:
    unknown = sorted(set(found) - set(TRUSTED_TYPES))
    if unknown:
        raise ModelUntrusted(
            f"model file {path.name} holds types that nobody reviewed: {', '.join(unknown)}; "
            "review them and add them to TRUSTED_TYPES, or train again"
        )


def _describe_damage(path: Path, content: bytes) -> str:
    return (
        f"model file {path.name} ({len(content):,} bytes) is cut short, damaged, or no model file; "
        "fetch it again or train again"
    )


SERVING_FOLDER = "serving"
"""Where the served form's files lie in a model's folder."""
GRAPH_FILE, PREPROCESSING_FILE, ANSWERING_FILE = (
    "serving.onnx",
    "preprocessing.json",
    "answering.json",
)
ROWS = 4096
"""Rows that go through the graph at once."""
ERRORS_ONLY = 3


class ExportedModel:
    """A served form with its session: one thread, since requests come beside each other."""

    def __init__(self, form: OnnxExport) -> None:
        self.form = form

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            return onnxruntime.InferenceSession(
                self.form.graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own classes have no public root
            raise ServingImpossible(
                f"onnxruntime does not take {GRAPH_FILE}: {str(error)[:200]}"
            ) from error

    def run(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Run the graph on prepared numbers, shape (n, columns); give shape (n, targets).

        Raises:
            ServingImpossible: onnxruntime does not take the graph.
        """
        starts = range(0, max(len(numbers), 1), ROWS)
        session = self._session
        parts = [session.run([SCORES], {NUMBERS: numbers[at : at + ROWS]})[0] for at in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict(self, rows: Rows) -> Predictions:
        """Give answers for raw columns.

        Raises:
            DataInvalid: a feature column is absent, infinite, or not of its kind.
            ServingImpossible: onnxruntime does not take the graph.
        """
        return self.form.predict(self.run, rows)


def save_serving(form: OnnxExport, folder: Path) -> None:
    """Write a served form's files into a folder, each complete or not at all.

    Raises:
        StorageFull: the disk leaves no room.
        DataUnavailable: the folder cannot be written to right now.
    """
    contents = {
        GRAPH_FILE: form.graph,
        PREPROCESSING_FILE: _write_json(form.preprocessing.to_dict()),
        ANSWERING_FILE: _write_json(form.answering.to_dict()),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            temporary = folder / f".{name}.{os.getpid()}"
            temporary.write_bytes(content)
            temporary.replace(folder / name)
    except OSError as error:
        raise explain_os_error(error, f"served form {folder.name}") from error


def load_serving(folder: Path) -> ExportedModel:
    """Read a served form from its files.

    Raises:
        DataMissing: a file is not there.
        ServingImpossible: a file is cut short, damaged, or something else.
        DataUnavailable: a file cannot be read right now.
    """
    names = (GRAPH_FILE, PREPROCESSING_FILE, ANSWERING_FILE)
    try:
        graph, *texts = [(folder / name).read_bytes() for name in names]
    except FileNotFoundError as error:
        raise DataMissing(f"there is no served form in {folder}: {error.filename}") from error
    except OSError as error:
        raise explain_os_error(error, f"served form {folder.name}") from error
    try:
        preprocessing = Preprocessing.from_dict(json.loads(texts[0]))
        answering = Postprocessing.from_dict(json.loads(texts[1]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ServingImpossible(
            f"served form {folder.name}: {PREPROCESSING_FILE} or {ANSWERING_FILE} is damaged; "
            "fetch it again or train again"
        ) from error
    return ExportedModel(OnnxExport(preprocessing, graph, answering))


def _write_json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, allow_nan=False) + "\n").encode()
