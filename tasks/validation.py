"""The data gate's evidence: the expectation suite and leakage, on the version to be released."""

from functools import partial

from prefect import get_run_logger

from sluice.adapters.tables.snapshot import read_once
from sluice.adapters.validation.expectations import measure_data
from sluice.config.service import ServiceConfig
from sluice.gates.data import DataGate
from sluice.home import find_home
from sluice.verdict import Verdict
from tasks.decorators import effect
from tasks.recording import record_bad_rows, record_page, record_verdict
from tasks.release import Release


@effect
def weigh_data(config: ServiceConfig, release: Release) -> Verdict:
    """Judge the data version and record the verdict.

    Raises:
        ConfigInvalid: the service's expectation suite is missing or unreadable.
        Fault: the table or the registry cannot be reached.
    """
    uri = find_home().table(config.service)
    read = partial(read_once, release.folder, uri, config.service, id_column=config.data.id)
    table, _ = read(release.data.version)
    baseline = None
    if release.baseline is not None:
        baseline, _ = read(release.baseline)
    get_run_logger().info(
        "validating %s rows against the suite '%s'%s",
        f"{table.num_rows:,}",
        config.data.suite,
        f", new rows against version {release.baseline}" if baseline is not None else "",
    )
    evidence = measure_data(config, table, baseline, release.run_id)
    verdict = DataGate(config.data).judge(evidence)
    record_verdict(release, verdict)
    record_page(release, evidence.page)
    record_bad_rows(release, evidence.bad_rows)
    return verdict
