"""Make a version again from its record, and say whether it is identical."""

from prefect import flow

from tasks.reproduction.steps import (
    ReproductionResult,
    open_workspace,
    pass_reproduction,
    report_reproduction,
    reproduce_version,
)
from tasks.run.forms import AS_RECORDED, ModelVersion, RecordedSeed, ServiceOrPrompt
from tasks.run.names import name_reproduction
from tasks.run.state import state_failure


@flow(
    name="reproduce",
    flow_run_name=name_reproduction,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def reproduce(
    service: ServiceOrPrompt, version: ModelVersion, seed: RecordedSeed = AS_RECORDED
) -> ReproductionResult:
    """Train a version again from its data, commit, lock and seed, and compare every prediction.

    Nothing that serves changes. A prompt's version is evaluated again on its cases, with the
    answers that are kept; no model is asked.

    Args:
        service: The service, or the prompt.
        version: The version to make again.
        seed: A seed to train with instead of the recorded one, to see that the comparison notices
            it; -1 takes the recorded one.
    """
    with open_workspace() as folder:
        found = reproduce_version(service, version, seed, folder)
        report_reproduction(found)
        return pass_reproduction(found)
