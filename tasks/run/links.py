"""Addresses that artifacts link to: the registry's pages and the orchestrator's forms."""

import json
import os
from typing import Any
from urllib.parse import quote

from prefect import get_client
from prefect.settings import PREFECT_UI_URL


def registry_page() -> str:
    """Return the address of the registry's pages: `SLUICE_MLFLOW_UI`, else port 5000 here."""
    return os.environ.get("SLUICE_MLFLOW_UI", "http://127.0.0.1:5000")


def link_rollout(service: str) -> str:
    """Return a service's address on the rollout page; empty if `SLUICE_ROLLOUT_UI` is."""
    page = os.environ.get("SLUICE_ROLLOUT_UI", "").rstrip("/")
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
