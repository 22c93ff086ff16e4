"""Addresses that artifacts link to: the registry's pages and the orchestrator's forms."""

import json
from typing import Any
from urllib.parse import quote

from prefect import get_client
from prefect.settings import PREFECT_UI_URL

from sluice.adapters.addresses import (
    MODEL_VIEW,
    find_registry_page,
    find_status_page,
    name_run,
)
from sluice.adapters.server.record import read_stack
from sluice.home import find_home


def link_page(path: str) -> str:
    """Return the address of one of the orchestrator's pages."""
    return f"{PREFECT_UI_URL.value()}/{path}"


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
    """Return a service's address on the status page; empty where none is up."""
    page = find_status_page(find_home())
    return f"{page}/services/{service}" if page else ""


def link_run(experiment: str, run_id: str) -> str:
    """Return the address of a registry run's page, in the view for models."""
    return name_run(registry_page(), experiment, run_id)


def link_version(service: str, version: int) -> str:
    """Return the address of a model version's page."""
    return f"{registry_page()}/#/models/{service}/versions/{version}?{MODEL_VIEW}"


def link_file(experiment: str, run_id: str, path: str) -> str:
    """Return the address of a run's file in the registry's pages."""
    run, _, view = link_run(experiment, run_id).partition("?")
    return f"{run}/artifacts/{path}?{view}"


def link_form(deployment: str, parameters: dict[str, Any]) -> str:
    """Return the address of a deployment's form, filled in; empty if there is none.

    `deployment` is named `flow/deployment`.
    """
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name(deployment)
    except Exception:  # not deployed, or the server is away: the page also names the command
        return ""
    page = link_page(f"deployments/deployment/{found.id}/run")
    return f"{page}?parameters={quote(json.dumps(parameters))}"
