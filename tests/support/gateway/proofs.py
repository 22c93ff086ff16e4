"""Proofs that no answer was lost or counted twice, whatever was killed."""

from collections import Counter

import pyarrow as pa
from deltalake import DeltaTable

from serving.log.log_writer import LogShipper
from serving.log.worker_runs import list_runs, sum_counters
from sluice.config.serving import TrafficLogConfig
from support.gateway.callers import Load
from support.gateway.site import Running, read_answers, wait_until


def settled(running: Running) -> bool:
    return all(run.read().final for run in list_runs(running.folder))


def count_requests(running: Running, service: str) -> int:
    """What the counters of the replica say."""
    counts = sum_counters(running.folder).counts
    return sum(item.requests for key, item in counts.items() if key.service == service)


def check_log(running: Running, load: Load, service: str) -> None:
    """Every answer is in the spool once, and the counters equal the log."""
    wait_until(lambda: settled(running))
    ids = [item.request_id for item in read_answers(running.folder, service)]
    assert len(ids) == len(set(ids))
    assert load.ids <= set(ids)
    assert count_requests(running, service) == len(ids)


def check_table(running: Running, load: Load, service: str, now: float) -> int:
    """The same of the table of a replica that has ended; return how many answers it has."""
    shipper = LogShipper(running.site.home, TrafficLogConfig())
    shipper.ship(now, all_of_it=True)  # what a log-writer that was killed at the end left
    assert settled(running)
    table = pa.table(DeltaTable(str(running.site.home.answers(service))).to_pyarrow_table())
    times = Counter(table["request_id"].to_pylist())
    assert set(times.values()) == {1}
    assert load.ids <= set(times)
    assert count_requests(running, service) == len(times)
    return len(times)
