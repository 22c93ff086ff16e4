"""Taking a file into a service's table, or into quarantine."""

from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger

from sluice.adapters.tables.delta import append_batch, find_batch, latest_version, read_version
from sluice.adapters.tables.files import read_batch
from sluice.adapters.tables.quarantine import quarantine_batch
from sluice.adapters.validation.expectations import measure_data
from sluice.config.service import ServiceConfig
from sluice.data.content import hash_content
from sluice.data.version import DataVersion
from sluice.errors import DataMissing
from sluice.gates.data import DataGate
from sluice.home import find_home
from sluice.verdict import Verdict
from tasks.decorators import effect
from tasks.events import tell_world


@dataclass(frozen=True)
class WeighedBatch:
    """A batch that was read and judged, and the version that already holds it, if one does."""

    path: str
    verdict: Verdict | None
    held_by: DataVersion | None
    quarantine: str = ""


@effect
def weigh_batch(config: ServiceConfig, path: Path) -> WeighedBatch:
    """Read a file, check its schema, judge its rows; a batch that fails goes to quarantine whole.

    Raises:
        DataInvalid: the file cannot be read, or its schema is not the service's.
        Fault: the table cannot be reached.
    """
    log = get_run_logger()
    home = find_home()
    uri = home.table(config.service)
    batch = read_batch(path, config.data)
    held = find_batch(uri, hash_content(batch))
    if held:
        log.info("%s is already in version %d: nothing to write", path.name, held.version)
        return WeighedBatch(str(path), None, held)
    try:
        version = latest_version(uri, config.service)
        baseline, _ = read_version(uri, config.service, version, config.data.id)
    except DataMissing:
        baseline = None
    log.info("read %s: %s rows, schema as configured", path.name, f"{batch.num_rows:,}")
    evidence = measure_data(config, batch, baseline, f"ingest-{config.service}")
    verdict = DataGate(config.data).judge(evidence)
    where = ""
    if not verdict.passed:
        folder = home.quarantine(config.service)
        where = str(quarantine_batch(folder, batch, verdict, evidence.bad_rows, str(path)))
        log.error("quarantined: %s", where)
    return WeighedBatch(str(path), verdict, None, where)


@effect
def append_rows(config: ServiceConfig, path: Path) -> DataVersion:
    """Append a judged file as the table's next version and tell the world that data changed.

    Raises:
        DataInvalid: the table already has some of the ids.
        StorageFull: no room; the table stays at its version.
        Fault: the table cannot be reached.
    """
    batch = read_batch(path, config.data)
    uri = find_home().table(config.service)
    data = append_batch(uri, batch, {"source": path.name}, config.data.id)
    get_run_logger().info(
        "%s is data version %d of %s, %s rows in all",
        path.name,
        data.version,
        config.service,
        f"{data.rows:,}",
    )
    tell_world(
        config.service,
        "data.changed",
        {"version": data.version, "rows": data.rows},
    )
    return data
