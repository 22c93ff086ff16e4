"""A person's decision about a refused batch, as Prefect's form runs it."""

from prefect import get_run_logger

from sluice.adapters.control.store import prepare_control
from sluice.adapters.tables.delta import list_versions
from sluice.config.service import ServiceConfig
from sluice.control.command import Author
from sluice.data.batches.quarantine import Answer, DecisionEffect
from sluice.home import find_home
from tasks.data.ingestion import announce_version
from tasks.data.quarantine import accept_batch, drop_batch
from tasks.run.decorators import effect
from tasks.run.names import name_origin


@effect
def decide_batch(
    config: ServiceConfig, batch: str, answer: Answer, reason: str, by: str
) -> DecisionEffect:
    """Accept or drop a refused batch, and emit the event that data changed.

    Raises:
        CommandRefused: the batch is unknown, was decided otherwise, or has no rows to choose.
        DataInvalid: the rows do not fit the service's columns of today.
        StorageFull: the disk is full.
        Fault: the table, the quarantine or the control store cannot be reached.
    """
    control, author = prepare_control(), Author(by, reason, name_origin())
    if answer == "drop":
        done = drop_batch(control, config, batch, author)
    else:
        done = accept_batch(control, config, batch, author, answer == "accept-good-rows")
    get_run_logger().warning("%s: %s by %s: %s", config.service, done.message, by, reason)
    versions = list_versions(find_home().table(config.service), config.service) if done.rows else []
    if versions and versions[-1].version == done.version:
        announce_version(config.service, versions[-1])
    return done
