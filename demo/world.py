"""A demonstration's own world: state folder, servers, ports and events are no one else's."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from sluice.adapters.storage import try_lock
from sluice.errors import ServiceBusy
from sluice.home import Home

CLEAN = "clean"
"""Name of the world without a fault; it is kept from one demonstration to the next."""
OTHERS = ("PREFECT_", "MLFLOW_")
"""Variables that begin so can name servers and databases of others."""
STORES = (
    "SLUICE_CONTROL_URL",
    "SLUICE_GATEWAY_URLS",
    "SLUICE_GATEWAY_KEY",
    "SLUICE_GATEWAY_KEYS",
    "SLUICE_API_KEY",
    "SLUICE_MLFLOW_UI",
    "SLUICE_STATUS_UI",
    "SLUICE_ROLLOUT_UI",
)


@contextmanager
def enter_world(home: Home, fault: str) -> Iterator[Home]:
    """Make this process's environment that of a demonstration while the block runs.

    Its state folder is `demo/FAULT` (or `demo/clean`) in the user's, new for each fault. It has a
    Prefect server, a registry, a control store and a gateway of its own, so no trigger, alias,
    artifact or event of it meets those that the environment names.

    Raises:
        ServiceBusy: another process plays the same demonstration.
        OSError: the folder cannot be written.
    """
    name = fault or CLEAN
    folder = home.root / "demo" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("a") as lock:
        if not try_lock(lock):
            raise ServiceBusy(
                f"another process plays the demo {name} in {folder}; next: wait until it ends, or "
                "set SLUICE_HOME to another folder"
            )
        os.set_inheritable(lock.fileno(), True)  # a program in this process's place keeps it
        if fault:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        before = dict(os.environ)
        for variable in before:
            if variable.startswith(OTHERS) or variable in STORES:
                del os.environ[variable]
        os.environ["SLUICE_HOME"] = str(folder)
        try:
            yield Home(Path(folder))
        finally:
            os.environ.clear()
            os.environ.update(before)


def run_story(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Run Python with the arguments in this process's place: what ends it ends the story.

    Folders that the environment names are read once, when a process starts.
    """
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *arguments], dict(environment))  # noqa: S606
