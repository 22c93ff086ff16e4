"""Models as files, without pickle: nothing is built from one but types that somebody reviewed."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

from sluice.adapters.storage import explain_os_error
from sluice.errors import DataInvalid, DataMissing, ModelUntrusted

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
