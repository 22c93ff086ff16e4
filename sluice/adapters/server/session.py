"""One session in the terminal: server up, registry ready, heavy libraries imported."""

import importlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from sluice.adapters.registry.client import open_registry
from sluice.adapters.server.home_server import run_server, server_environment
from sluice.errors import SluiceError
from sluice.garbage import import_at_once
from sluice.home import PROJECT, Home

HEAVY = (
    "great_expectations",
    "sklearn.ensemble",
    "sklearn.compose",
    "deltalake",
    "skops.io",
    "matplotlib.figure",
)


@contextmanager
def open_session(
    home: Home, report: Callable[[str], None], libraries: Sequence[str] = HEAVY
) -> Iterator[str]:
    """Start or join the server and make the registry ready; yield the API's address.

    `libraries` are imported meanwhile, those that the flows will need. It sets this process's
    environment for flows; import flows only inside the block.

    Raises:
        ServerUnavailable: the server does not answer.
        Fault: the registry cannot be made ready.
    """
    os.environ.update(server_environment(home))
    os.environ["PREFECT_LOGGING_SETTINGS_PATH"] = str(PROJECT / "tasks" / "logging.yml")
    failures: list[SluiceError] = []
    warming = threading.Thread(target=_warm_up, args=(home, failures, libraries), daemon=True)
    with ExitStack() as session:
        with import_at_once():
            warming.start()
            api = session.enter_context(run_server(home, report=report))
            os.environ.update({**server_environment(home), "PREFECT_API_URL": api})
            importlib.import_module("prefect.flow_engine")  # it reads the address
            warming.join()
        if failures:
            raise failures[0]
        yield api


def _warm_up(home: Home, failures: list[SluiceError], libraries: Sequence[str]) -> None:
    """Prepare the registry and import libraries while the server starts elsewhere."""
    try:
        open_registry(home).prepare()
    except SluiceError as error:
        failures.append(error)
    for name in libraries:
        importlib.import_module(name)
