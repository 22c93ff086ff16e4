"""Where the gateway and the pages of this state folder are, for the terminal and the worker alike.

What the environment or a configuration names comes first; then the local stack that runs in the
state folder, by its record; then the default port.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sluice.adapters.server.record import StackRecord, read_stack
from sluice.adapters.storage import write_whole
from sluice.config.serving import GatewayConfig
from sluice.documents import read_json
from sluice.home import Home

GATEWAY_URLS = "SLUICE_GATEWAY_URLS"
REGISTRY_PAGE, STATUS_PAGE = "SLUICE_MLFLOW_UI", "SLUICE_STATUS_UI"
FORMER_STATUS_PAGE = "SLUICE_ROLLOUT_UI"
"""The name of that variable before the page showed more than rollouts; still read."""
MODEL_VIEW = "workflowType=machine_learning"
"""Opens MLflow's pages in the view for models; without it they open in the view for LLMs."""
FLOW_RUNS = "runs/flow-run/"
"""The path in front of a flow run's id on the orchestrator's pages."""
DEFAULT_PAGE = "http://127.0.0.1:5000"
PAGES_FILE = "pages.json"


@dataclass(frozen=True)
class Page:
    """The address of a page, and whether something is known to serve it now."""

    address: str
    is_served: bool = True


def find_gateways(home: Home, config: GatewayConfig) -> list[str]:
    """Return the addresses of all replicas of the state folder's gateway.

    They are those of `SLUICE_GATEWAY_URLS` (a comma between), else of the configuration, else the
    one of the stack that runs here, else the configured port of this machine.
    """
    named = os.environ.get(GATEWAY_URLS, "")
    addresses = [item.strip().rstrip("/") for item in named.split(",") if item.strip()]
    if addresses or config.replicas:
        return addresses or [*config.replicas]
    stack = read_stack(home)
    return [stack.gateway if stack and stack.gateway else f"http://127.0.0.1:{config.port}"]


def find_registry_page(home: Home) -> Page:
    """Return the registry's pages: as named, of the stack or of `sluice ui`, else at port 5000.

    A registry that is a server of its own has its pages at its address.
    """
    if named := os.environ.get(REGISTRY_PAGE, ""):
        return Page(named.rstrip("/"))
    if home.tracking_uri.startswith("http"):
        return Page(home.tracking_uri.rstrip("/"))
    if stack := read_stack(home):
        return Page(stack.mlflow)
    if served := _read_served(home):
        return Page(served)
    return Page(DEFAULT_PAGE, is_served=False)


def find_status_page(home: Home) -> str:
    """Return the status page's address: as named, else of the stack; empty where none is up."""
    if named := name_status_page():
        return named
    stack: StackRecord | None = read_stack(home)
    return stack.rollouts if stack else ""


def name_status_page() -> str:
    """Return the status page's address that the environment names; empty where it names none."""
    named = os.environ.get(STATUS_PAGE, "") or os.environ.get(FORMER_STATUS_PAGE, "")
    return named.rstrip("/")


def name_run(page: str, experiment: str, run_id: str) -> str:
    """Return the address of a run on the registry's pages, in the view for models."""
    return f"{page}/#/experiments/{experiment}/runs/{run_id}?{MODEL_VIEW}"


@contextmanager
def record_pages(home: Home, address: str) -> Iterator[None]:
    """Record the address of the registry's pages while this process serves them."""
    path = home.root / PAGES_FILE
    with suppress(OSError):
        write_whole({path: json.dumps({"pid": os.getpid(), "mlflow": address})})
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def _read_served(home: Home) -> str:
    """Return the address that a living process recorded; empty where there is none."""
    try:
        found = read_json(home.root / PAGES_FILE)
        os.kill(int(found["pid"]), 0)
        return str(found["mlflow"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return ""
