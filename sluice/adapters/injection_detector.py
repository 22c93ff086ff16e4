"""The injection detector of the guardrails: the ONNX export of a released version, with its card.

It stands in `data/injection/detector/`, so that an evaluation and a gateway need neither registry
nor training. `detector.json` has the sha256 of each file, and the version that it came from.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from sluice.adapters.registry.model_files import (
    GRAPH_FILE,
    POSTPROCESSING_FILE,
    PREPROCESSING_FILE,
    load_export,
)
from sluice.adapters.storage import draft_file, explain_os_error
from sluice.documents import read_json
from sluice.errors import DataMissing, ModelDamaged
from sluice.guardrails.injection import InjectionDetector
from sluice.home import DETECTOR

COLUMN = "text"
"""The only column that it reads."""
FACTS_FILE = "detector.json"
FILES = (GRAPH_FILE, PREPROCESSING_FILE, POSTPROCESSING_FILE)
ADOPT = "next: sluice prompt adopt-detector"


def load_detector(folder: Path = DETECTOR) -> InjectionDetector:
    """Load the injection detector; it answers from several threads.

    Raises:
        DataMissing: it is not there.
        ModelDamaged: a file is not the one that was adopted, or the model reads other columns.
        ServingImpossible: onnxruntime cannot load it.
        DataUnavailable: a file cannot be read at present.
    """
    check_files(folder)
    exported = load_export(folder)
    columns = {name for item in exported.export.preprocessing.columns for name in item.inputs}
    post = exported.export.postprocessing
    if columns - {COLUMN} or len(post.classes) != 2:
        found = f"reads {', '.join(sorted(columns))} and has {len(post.classes)} classes"
        raise ModelDamaged(
            f"injection detector in {folder}: it {found}; allowed: the column '{COLUMN}' and 2 "
            f"classes; {ADOPT}"
        )
    positive = post.classes[post.positive]

    def classify(texts: Sequence[str]) -> list[Any]:
        found: list[Any] = (exported.predict({COLUMN: texts}).labels == positive).tolist()
        return found

    return InjectionDetector(classify)


def check_files(folder: Path) -> None:
    """Check that the detector's files are those that were adopted.

    Raises:
        DataMissing: one is not there.
        ModelDamaged: one has another content than its sha256 says.
        DataUnavailable: one cannot be read at present.
    """
    try:
        hashes = dict(read_json(folder / FACTS_FILE)["files"])
        found = {name: sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    except FileNotFoundError as error:
        raise DataMissing(
            f"there is no injection detector in {folder}: no {Path(error.filename).name}; {ADOPT}"
        ) from error
    except OSError as error:
        raise explain_os_error(error, "the injection detector") from error
    except (LookupError, TypeError, ValueError) as error:
        raise ModelDamaged(
            f"{folder / FACTS_FILE}: it does not hold the sha256 of the detector's files; {ADOPT}"
        ) from error
    for name, digest in found.items():
        if digest != hashes.get(name):
            raise ModelDamaged(
                f"{folder / name}: its sha256 is {digest[:12]}..., {FACTS_FILE} has "
                f"{str(hashes.get(name))[:12]}...; bring the file back, or {ADOPT}"
            )


def write_detector(contents: Mapping[str, bytes], facts: Mapping[str, Any], folder: Path) -> None:
    """Write the files of a detector, and beside them the facts with the sha256 of each.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written to at present.
    """
    hashes = {name: sha256(contents[name]).hexdigest() for name in FILES}
    vouched = json.dumps({**facts, "files": hashes}, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in {**contents, FACTS_FILE: vouched.encode()}.items():  # the facts last
            with draft_file(folder / name) as draft:
                draft.write_bytes(content)
    except OSError as error:
        raise explain_os_error(error, "the injection detector") from error
