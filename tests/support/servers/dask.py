"""A Dask cluster of several processes on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def open_cluster(processes: int) -> Iterator[str]:
    """Yield the address of a cluster of processes, as a team's own cluster has one."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=processes,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address
