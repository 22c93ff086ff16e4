"""Addresses that artifacts link to: the registry's pages and the orchestrator's forms."""

import json
from typing import Any
from urllib.parse import quote

from prefect import get_client
from prefect.settings import PREFECT_UI_URL

from sluice.adapters.addresses import find_registry_page, find_rollout_page
from sluice.adapters.server.stack import read_stack
from sluice.home import find_home


def registry_page() -> str:
    """Return the address of the registry's pages."""
    return find_registry_page(find_home()).address


def explain_dead_links() -> str:
    """Return how to get pages back that end with a command; empty where a stack serves them."""
    home = find_home()
    if read_stack(home) is not None or find_registry_page(home).is_served:
        return ""
    return "a page that does not open any more: `sluice ui` serves it again"


def link_rollout(service: str) -> str:
    """Return a service's address on the rollout page; empty where none is up."""
    page = find_rollout_page(find_home())
    return f"{page}/services/{service}" if page else ""


def link_version(service: str, version: int) -> str:
    """Return the address of a model version's page."""
    return f"{registry_page()}/#/models/{service}/versions/{version}"


def link_file(experiment: str, run_id: str, path: str) -> str:
    """Return the address of a run's file in the registry's pages."""
    return f"{registry_page()}/#/experiments/{experiment}/runs/{run_id}/artifacts/{path}"


def link_form(deployment: str, parameters: dict[str, Any]) -> str:
    """Return the address of a deployment's form, filled in; empty if there is none.

    `deployment` is named `flow/deployment`.
    """
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name(deployment)
    except Exception:  # not deployed, or the server is away: the page also names the command
        return ""
    page = f"{PREFECT_UI_URL.value()}/deployments/deployment/{found.id}/run"
    return f"{page}?parameters={quote(json.dumps(parameters))}"
