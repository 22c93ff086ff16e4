"""The JSON files of a model that exhaust a careless reader are refused in words, and soon."""

import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.models.cache import Manifest
from sluice.adapters.registry.model_files import (
    GRAPH_FILE,
    POSTPROCESSING_FILE,
    PREPROCESSING_FILE,
    load_export,
    load_model,
)
from sluice.adapters.validation.suite_file import read_suite
from sluice.errors import Refused
from sluice.models.export.onnx_export import ParitySample
from support.documents import HOSTILE_JSON
from support.pace import slowed

SECONDS = 3.0


def read_preprocessing(folder: Path, content: bytes) -> object:
    (folder / GRAPH_FILE).write_bytes(b"")
    (folder / POSTPROCESSING_FILE).write_bytes(b"{}")
    (folder / PREPROCESSING_FILE).write_bytes(content)
    return load_export(folder)


def read_model(folder: Path, content: bytes) -> object:
    with zipfile.ZipFile(folder / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", content)
    return load_model(folder / "model.skops")


def read_rules(folder: Path, content: bytes) -> object:
    (folder / "expectations").mkdir()
    (folder / "expectations" / "shop.json").write_bytes(content)
    return read_suite(folder, "shop")


READERS: dict[str, Callable[[Path, bytes], object]] = {
    "preprocessing": read_preprocessing,
    "native model": read_model,
    "parity sample": lambda _, content: ParitySample.from_json(content),
    "manifest of the cache": lambda _, content: Manifest.from_json(content),
    "suite of expectations": read_rules,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_file_is_refused_as_any_damaged_file(reader: str, name: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        READERS[reader](tmp_path, HOSTILE_JSON[name][0])
    assert str(refused.value)
    assert time.monotonic() - began < slowed(SECONDS)


def test_archive_that_unpacks_to_more_than_a_model_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.registry.model_files.LARGEST_MODEL", 1_000_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("0.npy", bytes(1_000_000))
    assert len(buffer.getvalue()) < 10_000
    (tmp_path / "model.skops").write_bytes(buffer.getvalue())
    with pytest.raises(Refused, match=r"unpacks to 1,000,002 bytes; allowed: 1,000,000"):
        load_model(tmp_path / "model.skops")
