"""Take an experiment a step further: plan, start, resume, analyse or decide."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.experiments.actions import AS_CANDIDATE, ExperimentResult
from tasks.experiments.controller import (
    find_running,
    hold_experiment,
    is_controlled,
    run_traffic,
    start_traffic,
)
from tasks.experiments.steps import (
    analyse_experiment,
    decide_experiment,
    plan_experiment,
    prepare_experiment,
    read_record,
    require_step,
)
from tasks.run.forms import ExperimentChoice, ExperimentName, ExperimentStep, TreatmentVersion
from tasks.run.names import name_experiment
from tasks.run.state import end_skipped, state_failure


@flow(
    name="experiment",
    flow_run_name=name_experiment,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def experiment(
    name: ExperimentName,
    step: ExperimentStep,
    version: TreatmentVersion = AS_CANDIDATE,
    decision: ExperimentChoice = "iterate",
    by: str = "",
    reason: str = "",
) -> ExperimentResult | State[Any]:
    """Plan, start, resume, analyse or decide an experiment; a step that is skipped is refused.

    A run that starts an experiment keeps its traffic until the calculated duration is over. If you
    cancel it, the control serves alone until the keeper resumes it. Page: `experiment-NAME`.

    Args:
        name: The experiment; each is one file in configs/experiments/.
        step: `plan` computes units and duration; `start` begins the traffic; `analyse` and `decide`
            follow when its duration is over. The keeper uses `resume`.
        version: With `start`, the version of the treatment; -1 takes the alias `candidate`.
        decision: With `decide`: promote hands the treatment over to a rollout.
        by: With `decide`, your name; it stays on record.
        reason: With `decide`, your reason in a sentence.
    """
    require_step(step)
    if step == "plan":
        return plan_experiment(name, by)
    if step == "analyse":
        return analyse_experiment(name, by)
    if step == "decide":
        return decide_experiment(name, decision, by, reason)
    if step == "resume":
        control, record = read_record(name)
        if is_controlled(control, record.service):
            return end_skipped(f"the experiment of {record.service} has a controller")
        with hold_experiment(record.service) as held:
            return run_traffic(held, find_running(control, name))
    prepared = prepare_experiment(name, version)
    with hold_experiment(prepared.service) as held:
        return run_traffic(held, start_traffic(held, prepared, by))
