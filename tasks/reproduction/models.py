"""The reproduction of a model's version: its record, its rows, and the comparison."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import read_config, read_metrics, read_params
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.reproduction.data import require_files
from sluice.adapters.tables.delta import read_version
from sluice.data.version import DataVersion
from sluice.errors import NotReproducible
from sluice.home import find_home
from sluice.identity import ReleaseIdentity
from sluice.models.export.onnx_export import ParitySample
from sluice.reproduction.comparison import ComparedFact, compare_predictions, compare_value
from sluice.reproduction.record import read_identity
from tasks.reproduction.handover import (
    HELD_OUT,
    MODEL,
    PARITY,
    RECORDED,
    REPRODUCED,
    ROWS,
    SAMPLE,
    read_predictions,
    read_result,
    write_job,
)

SEED = "model.seed"
"""The parameter of a registry run that has the seed of the training."""


@dataclass(frozen=True)
class ModelRecord:
    """What the registry has of a model's version that is to be made again."""

    version: ModelVersionRef
    identity: ReleaseIdentity
    config: dict[str, Any]
    params: dict[str, str]

    @property
    def name(self) -> str:
        """The version in messages."""
        return f"{self.version.service} v{self.version.version}"


def read_model_record(service: str, version: int) -> ModelRecord:
    """Read a version's record, and check that nothing is missing.

    Raises:
        NotReproducible: there is no such version, or its record is not whole.
        TreeWasDirty: no commit has the code of it.
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    found = find_version(registry, service, version)
    if found is None:
        raise NotReproducible(
            f"{service}: found no version {version} in the registry; next: `sluice history "
            f"{service}` lists the versions that there are"
        )
    identity = read_identity(service, version, found.tags)
    config = read_config(registry, found.run_id)
    data = config.get("data")
    if not isinstance(data, dict) or not data.get("id") or not data.get("columns"):
        raise NotReproducible(
            f"{service} v{version}: config.yaml of registry run {found.run_id} is missing or "
            "damaged; next: restore the registry's artifacts"
        )
    return ModelRecord(found, identity, config, read_params(registry, found.run_id))


def gather_model(record: ModelRecord, folder: Path, seed: int) -> DataVersion:
    """Write the task of the process: rows, registered model, parity sample and configuration.

    Raises:
        DataVacuumed: files of the data version were deleted.
        DataMissing: the table has no such version.
        DataInvalid: the version has other rows than were written.
        NotReproducible: the registered model was deleted.
        Fault: the table or the registry cannot be reached.
    """
    import pyarrow.parquet as pq

    service, version = record.version.service, record.identity.data.version
    uri = find_home().table(service)
    require_files(uri, service, version)
    data = record.config["data"]
    table, facts = read_version(uri, service, version, data["id"], data["columns"])
    pq.write_table(table, folder / ROWS)
    with_model = open_registry(find_home()).download_model(record.version, folder / "registered")
    for name in (MODEL, SAMPLE):
        if (with_model / name).exists():
            (with_model / name).rename(folder / name)
    if not (folder / MODEL).exists():
        raise NotReproducible(
            f"{record.name}: {MODEL} is not among the files of the registered model; next: restore "
            "the registry's artifacts"
        )
    write_job(folder, {"kind": "model", "config": record.config, "seed": seed})
    return facts


def compare_model(record: ModelRecord, data: DataVersion, folder: Path) -> list[ComparedFact]:
    """Compare what the process made with the record: inputs first, predictions last.

    Raises:
        NotReproducible: the process handed over files of another format.
    """
    result, identity = read_result(folder), record.identity
    recorded = identity.environment
    seed = record.params.get(SEED, str(record.config["model"]["seed"]))
    facts = [
        compare_value("content of the data", identity.data.content_hash, data.content_hash),
        compare_value("rows of the data", identity.data.rows, data.rows),
        compare_value("configuration", identity.config_hash, result["config_hash"]),
        compare_value("seed", seed, str(result["seed"])),
        compare_value("lock", recorded.lock_hash, result["lock_hash"]),
        compare_value("Python", recorded.python, result["python"]),
        compare_value("platform", recorded.platform, result["platform"], decides=False),
    ]
    if (trained := _find_training_rows(record)) is not None:
        facts.append(compare_value("training rows", trained, result["training_rows"]))
    threshold = result["threshold"]
    facts.append(compare_value("threshold", threshold[RECORDED], threshold[REPRODUCED]))
    return [*facts, *_compare_answers(folder, result["classes"])]


def _find_training_rows(record: ModelRecord) -> int | None:
    metrics = read_metrics(open_registry(find_home()), record.version.run_id)
    rows = metrics.get("training/rows")
    return None if rows is None else int(rows)


def _compare_answers(folder: Path, classes: dict[str, list[Any]]) -> list[ComparedFact]:
    own, new = (tuple(classes[name]) for name in (RECORDED, REPRODUCED))
    found = []
    if (folder / f"{REPRODUCED}_{PARITY}.parquet").exists():
        sample = ParitySample.from_json((folder / SAMPLE).read_bytes()).predictions
        before = read_predictions(folder, RECORDED, PARITY, own)
        after = read_predictions(folder, REPRODUCED, PARITY, new)
        found = [
            compare_predictions("the registered model's parity rows", sample, before),
            compare_predictions("rows of the parity sample", sample, after),
        ]
    held_out = [
        read_predictions(folder, name, HELD_OUT, known)
        for name, known in ((RECORDED, own), (REPRODUCED, new))
    ]
    return [*found, compare_predictions("held-out rows", *held_out)]
