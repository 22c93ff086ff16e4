"""Work pools of deployments: ours is created, and no run can set its command or environment."""

from collections.abc import Callable
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.utilities.templating import apply_values

from sluice.adapters.server.api import POOL
from sluice.errors import DeploymentRefused

NO_VARIABLES = {"type": "object", "properties": {}, "additionalProperties": False}
"""The schema of a pool's variables in which the server refuses every variable of a run."""
Report = Callable[[str], None]


def prepare_pool(client: SyncPrefectClient, name: str, report: Report) -> None:
    """Create our process pool if it is missing, and fix its job template; others must exist.

    Raises:
        DeploymentRefused: the pool is not ours and does not exist.
    """
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound as error:
        if name != POOL:
            raise DeploymentRefused(
                f"the work pool '{name}' does not exist; next: `prefect work-pool create {name}"
                f" --type ...`, or use '{POOL}', which is created"
            ) from error
        template = fix_template(_process_template())
        template["job_configuration"]["stream_output"] = False  # a run must outlive its worker
        client.create_work_pool(
            WorkPoolCreate(name=name, type="process", base_job_template=template)
        )
        report(f"created the work pool '{name}'")
        return
    template = pool.base_job_template
    if name == POOL and template.get("variables") != NO_VARIABLES:
        names = template.get("variables", {}).get("properties", {})
        template = fix_template(template)
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
        report(
            f"the work pool '{name}' let its runs set {', '.join(names) or 'variables'}: its job"
            " template has no variables any more, and keeps the values that it had"
        )
    if pool.type == "process" and _reads_output(template):
        report(
            f"the work pool '{name}' has stream_output on: flow runs die with their worker; next:"
            f" set it to false at {name} > Edit > Base Job Template"
        )


def fix_template(template: dict[str, Any]) -> dict[str, Any]:
    """Return a job template in which each variable is replaced by its default."""
    properties = template.get("variables", {}).get("properties", {})
    defaults = {name: item["default"] for name, item in properties.items() if "default" in item}
    fixed = apply_values(template.get("job_configuration", {}), defaults)
    return {**template, "job_configuration": fixed, "variables": NO_VARIABLES}


def _process_template() -> dict[str, Any]:
    from prefect.workers.process import ProcessWorker

    template: dict[str, Any] = ProcessWorker.get_default_base_job_template()
    return template


def _reads_output(template: dict[str, Any]) -> bool:
    """Whether a worker reads its runs' output by default; they end when it is gone."""
    variable = template.get("variables", {}).get("properties", {}).get("stream_output", {})
    fixed = template.get("job_configuration", {}).get("stream_output", True)
    return bool(variable.get("default", True) if variable else fixed)
