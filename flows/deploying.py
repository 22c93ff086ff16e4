"""Bringing deployments.yaml to a server, from the terminal."""

import os
from pathlib import Path

from flows.terminal import say
from sluice.adapters.server.home_server import server_environment
from sluice.errors import ServerUnavailable
from sluice.home import PROJECT, find_home

FILE = PROJECT / "deployments.yaml"


def deploy_here(file: str, prune: bool) -> None:
    """Deploy a file, ours if none is named, to the server of `PREFECT_API_URL` or of the home.

    Raises:
        ConfigInvalid: the file is wrong.
        ServerUnavailable: no server is named and the home's own is not up, or it does not answer.
        DeploymentRefused: a work pool is missing, or Prefect did not take a deployment.
    """
    home = find_home()
    os.environ.update(server_environment(home))
    if not os.environ.get("PREFECT_API_URL"):
        raise ServerUnavailable(
            "no Prefect server to deploy to: PREFECT_API_URL names none and this home's own is not"
            " up; next: set it, or keep `sluice up` running meanwhile"
        )
    home.prefect.mkdir(parents=True, exist_ok=True)  # Prefect warns where it is missing
    from prefect.settings import PREFECT_UI_URL

    from tasks.deployment import deploy_file

    names = deploy_file(Path(file).resolve() if file else FILE, say, prune)
    say(f"{len(names)} deployments at {PREFECT_UI_URL.value()}/deployments")
