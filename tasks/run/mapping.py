"""One task for each of many parts: here one after the other, or in many processes on Dask."""

import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger
from prefect.tasks import Task

from sluice.errors import ConfigInvalid

SCALE = "SLUICE_SCALE"
ALLOWED = (
    "allowed: nothing (one process), a number of processes on this machine such as 4, or the "
    "address of a Dask scheduler such as tcp://host:8786"
)
MOST_PROCESSES = 256
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Scale:
    """Where the parts of a task run: in so many processes here, or on a Dask cluster."""

    processes: int = 1
    address: str = ""

    @property
    def is_here(self) -> bool:
        """Whether the parts run in this process, one after the other."""
        return not self.address and self.processes == 1

    def describe(self) -> str:
        """Return it in words."""
        if self.address:
            return f"the Dask cluster at {self.address}"
        return "this process" if self.is_here else f"{self.processes} processes"


def read_scale() -> Scale:
    """Return the scale that the variable `SLUICE_SCALE` sets.

    Raises:
        ConfigInvalid: it is neither a number of processes nor an address.
    """
    text = os.environ.get("SLUICE_SCALE", "").strip()
    if not text:
        return Scale()
    if "://" in text:
        return Scale(address=text)
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PROCESSES:
        raise ConfigInvalid(f"{SCALE}: found '{text}'; {ALLOWED}")
    return Scale(processes=int(text))


def map_parts(task: Task[[T], R], parts: Sequence[T]) -> list[R]:
    """Run a task once for each part, and return the results in the order of the parts.

    The result is the same at every scale: a part is run by one process at a time, and what it
    leaves must depend on nothing else. On Dask every part is a task run, of the flow where it is
    called in one; the cluster's machines need the project and the same state folder.

    Raises:
        ConfigInvalid: the scale is not set right, or the extra `scale` is not installed.
        SluiceError: what the task raises for the first part that fails; the others are finished.
    """
    scale = read_scale()
    if scale.is_here or not parts:
        return [task(part) for part in parts]
    log, name = _find_logger(), next(iter(inspect.signature(task.fn).parameters))
    log.info("%s: %d parts on %s", task.name, len(parts), scale.describe())
    with _open_runner(scale) as runner:
        futures = [runner.submit(task, parameters={name: part}) for part in parts]
        for done, future in enumerate(futures, 1):
            future.wait()
            log.info("%s: %d of %d parts ended", task.name, done, len(parts))
        return [future.result() for future in futures]


def _find_logger() -> Any:
    """Return the logger of the run; outside of a run that of Prefect."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger()


@contextmanager
def _open_runner(scale: Scale) -> Iterator[Any]:
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise ConfigInvalid(
            f"{SCALE} needs the extra `scale`: install it with `pip install -e '.[scale]'`, or "
            f"unset {SCALE}"
        ) from error
    if scale.address:
        runner = DaskTaskRunner(address=scale.address)
    else:
        runner = DaskTaskRunner(
            cluster_kwargs={
                "n_workers": scale.processes,
                "threads_per_worker": 1,
                "processes": True,
                "host": "127.0.0.1",
                "dashboard_address": "127.0.0.1:0",
                "worker_dashboard_address": "127.0.0.1:0",
            }
        )
    with runner:
        yield runner
