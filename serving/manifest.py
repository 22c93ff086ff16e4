"""What a cached model is: one small file that names all others by their sha256."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Literal

from pydantic import ValidationError

from sluice.adapters.registry.model_file import MODEL_FILE
from sluice.adapters.registry.onnx_model import (
    ANSWERING_FILE,
    GRAPH_FILE,
    PREPROCESSING_FILE,
    SERVING_FOLDER,
)
from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.errors import ModelDamaged
from sluice.models.serving.sample import SAMPLE_FILE

MANIFEST_FILE = "manifest.json"
SERVED_FILES = tuple(
    f"{SERVING_FOLDER}/{name}" for name in (GRAPH_FILE, PREPROCESSING_FILE, ANSWERING_FILE)
)
FILES = (MODEL_FILE, *SERVED_FILES, SAMPLE_FILE)
"""Every file that a cached model may have; nothing else is copied, and nothing else is read."""


@dataclass(frozen=True)
class Manifest:
    """A version's facts, and the sha256 of each of its files; its own sha256 names the folder.

    `form` is what the parity gate let serve, `data` the configuration of the data, `kind` the
    estimator's.
    """

    service: str
    version: int
    run_id: str
    kind: str
    problem: Problem
    form: Literal["onnx", "sklearn"]
    data: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def data_config(self) -> DataConfig:
        """What the model's columns mean.

        Raises:
            ModelDamaged: it is no such configuration.
        """
        try:
            return DataConfig.model_validate(self.data)
        except ValidationError as error:
            raise ModelDamaged(f"{self.name}: its data configuration is not one") from error

    @property
    def name(self) -> str:
        """The version as people say it: `employment v3`."""
        return f"{self.service} v{self.version}"

    @property
    def digest(self) -> str:
        """The hexadecimal sha256 of the manifest as it is written."""
        return sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Write the manifest, the same for the same facts."""
        return (json.dumps(asdict(self), sort_keys=True, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ModelDamaged: it is something else, or names a file that no model has.
        """
        try:
            found = cls(**json.loads(content))
            strange = sorted(set(found.files) - set(FILES))
        except (ValueError, TypeError) as error:
            raise ModelDamaged(f"{MANIFEST_FILE} is not one; fetch the model again") from error
        if strange:
            raise ModelDamaged(f"{MANIFEST_FILE} names '{strange[0]}'; allowed: {', '.join(FILES)}")
        return found
