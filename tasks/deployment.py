"""Bringing a deployments file to the Prefect server that the environment names."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

from sluice.errors import ServerUnavailable
from sluice.home import PROJECT

POOL = "sluice"
DEPLOY_SECONDS = 600.0


def deploy_file(file: Path, report: Callable[[str], None]) -> list[str]:
    """Bring every deployment of a file to the server, each once; name them as `flow/deployment`.

    Raises:
        ServerUnavailable: Prefect did not take the file.
    """
    with get_client(sync_client=True) as client:
        try:
            template = ProcessWorker.get_default_base_job_template()
            # A flow run must outlive its worker, into whose pipe it would write.
            template["variables"]["properties"]["stream_output"]["default"] = False
            client.create_work_pool(
                WorkPoolCreate(name=POOL, type="process", base_job_template=template)
            )
        except ObjectAlreadyExists:
            pass
        ended = subprocess.run(  # noqa: S603
            [
                sys.executable,
                "-m",
                "prefect",
                "deploy",
                "--all",
                "--prefect-file",
                str(file),
                "--no-prompt",
            ],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOY_SECONDS,
            check=False,
        )
        if ended.returncode:
            raise ServerUnavailable(f"{file.name} was not deployed: {ended.stdout}{ended.stderr}")
        flows = {item.id: item.name for item in client.read_flows()}
        found = client.read_deployments()
    names = sorted(f"{flows[item.flow_id]}/{item.name}" for item in found)
    for name in names:
        report(f"deployed {name}")
    return names
