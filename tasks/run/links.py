"""Addresses that artifacts lead to: the registry's pages and the forms of the orchestrator."""

import json
import os
from typing import Any
from urllib.parse import quote

from prefect import get_client
from prefect.settings import PREFECT_UI_URL


def registry_page() -> str:
    """Give the address of the registry's own pages: `SLUICE_MLFLOW_UI`, else port 5000 here."""
    return os.environ.get("SLUICE_MLFLOW_UI", "http://127.0.0.1:5000")


def link_rollout(service: str) -> str:
    """Give the address of a service on the rollout page; empty where `SLUICE_ROLLOUT_UI` is."""
    page = os.environ.get("SLUICE_ROLLOUT_UI", "").rstrip("/")
    return f"{page}/services/{service}" if page else ""


def link_version(service: str, version: int) -> str:
    """Give the address of a model version's page."""
    return f"{registry_page()}/#/models/{service}/versions/{version}"


def link_file(experiment: str, run_id: str, path: str) -> str:
    """Give the address of a run's file in the registry's own pages."""
    return f"{registry_page()}/#/experiments/{experiment}/runs/{run_id}/artifacts/{path}"


def link_form(deployment: str, parameters: dict[str, Any]) -> str:
    """Give the address of a deployment's form with values filled in; empty where it is not there.

    `deployment` is named `flow/deployment`.
    """
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name(deployment)
    except Exception:  # not deployed, or the server is away: the page has the command line's way
        return ""
    page = f"{PREFECT_UI_URL.value()}/deployments/deployment/{found.id}/run"
    return f"{page}?parameters={quote(json.dumps(parameters))}"
