"""The guardrails' injection detector is taken from the released version of its service."""

import tempfile
from pathlib import Path

from sluice.adapters.injection_detector import FILES, write_detector
from sluice.adapters.registry.client import ModelVersionRef, open_registry
from sluice.adapters.registry.model_files import SERVING_FOLDER
from sluice.adapters.registry.served import check_signature
from sluice.errors import DataMissing, ServingImpossible
from sluice.home import DETECTOR, find_home
from tasks.run.champions import find_champion

SERVICE, CARD = "injection", "model_card.md"


def adopt_detector(folder: Path = DETECTOR) -> ModelVersionRef:
    """Copy the ONNX export and the card of the version that serves to where guardrails read them.

    Raises:
        DataMissing: no version of the service is released.
        SignatureInvalid: its files are not signed, or not the signed ones.
        ServingImpossible: the version has no ONNX export: its parity gate did not prove one.
        RegistryUnavailable: the registry or its files cannot be reached.
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written to at present.
    """
    version = find_champion(SERVICE).record
    if version is None:
        raise DataMissing(
            f"no version of the service '{SERVICE}' is released; next: make train SERVICE={SERVICE}"
        )
    registry = open_registry(find_home())
    with tempfile.TemporaryDirectory() as work:
        model = registry.download_model(version, Path(work))
        config = registry.read_text(version.run_id, "config.yaml")
        check_signature(registry, version, model, config)
        export = model / SERVING_FOLDER
        if not export.is_dir():
            raise ServingImpossible(
                f"{SERVICE} v{version.version} has no ONNX export; its parity gate says why"
            )
        contents = {name: (export / name).read_bytes() for name in FILES}
    contents[CARD] = registry.read_text(version.run_id, CARD).encode()
    facts = {
        "service": SERVICE,
        "version": version.version,
        "release": version.tags.get("sluice.release", ""),
    }
    write_detector(contents, facts, folder)
    return version
