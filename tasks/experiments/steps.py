"""The steps of an experiment as Prefect's forms run them: tasks around what `actions` does."""

from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.control.store import Control, prepare_control
from sluice.control.command import Author
from sluice.errors import CommandRefused
from sluice.experiments.record import ExperimentRecord
from tasks.experiments import actions
from tasks.experiments.actions import ExperimentResult, describe_event, raise_broken, wrap_result
from tasks.experiments.controller import find_running
from tasks.experiments.handing_over import hand_over
from tasks.experiments.publishing import publish_record
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.names import name_origin

STEP_NAMES = ("plan", "start", "analyse", "decide", "resume")


@effect
def plan_experiment(name: str, by: str) -> ExperimentResult:
    """Plan an experiment from the traffic seen, and publish the plan.

    Raises:
        ConfigInvalid: the experiment's file is not right.
        ExperimentRefused: it cannot be planned, or its last run has no decision yet.
        Fault: the control store or the traffic log cannot be reached.
    """
    return _tell(actions.plan_run(prepare_control(), name, datetime.now(UTC), by))


@effect
def prepare_experiment(name: str, version: int) -> ExperimentRecord:
    """Return the planned record with its arms.

    Raises:
        ConfigInvalid: the experiment's file is not right.
        ExperimentRefused: a step would be skipped, or there are no two versions to compare.
        PromotionRefused: the version did not pass its gates.
        Fault: the control store or the registry cannot be reached.
    """
    return actions.prepare_start(prepare_control(), name, version)


@effect
def analyse_experiment(name: str, by: str) -> ExperimentResult:
    """Analyse an experiment, and publish its report before anything is raised.

    Raises:
        ExperimentRefused: a step would be skipped, or it was decided already.
        SplitBroken: its units were not split as planned, so nothing was analysed.
        DataMissing: nothing of it was logged.
        Fault: the control store or the traffic log cannot be reached.
    """
    record = actions.analyse_run(prepare_control(), name, datetime.now(UTC), by)
    told = _tell(record)
    publish_event(record.service, "experiment.analysed", describe_event(record))
    raise_broken(record)
    return told


@effect
def decide_experiment(name: str, decision: str, by: str, reason: str) -> ExperimentResult:
    """Record a person's decision; what is promoted is handed over to a rollout.

    Raises:
        CommandRefused: there is no name or no reason, or no such decision.
        ExperimentRefused: a step would be skipped, or the analysis does not carry the decision.
        Fault: the control store cannot be reached.
    """
    author = Author(by, reason, name_origin())
    now = datetime.now(UTC)
    record = actions.decide_run(prepare_control(), name, decision, author, now)
    told = _tell(record)
    publish_event(record.service, "experiment.decided", describe_event(record))
    handed = hand_over(record) if decision == "promote" else ""
    return wrap_result(record, "; ".join(filter(None, (told.message, handed))))


def require_step(step: str) -> None:
    """Refuse a step that there is not.

    Raises:
        CommandRefused: there is no such step.
    """
    if step not in STEP_NAMES:
        raise CommandRefused(f"step: found '{step}'; allowed: {', '.join(STEP_NAMES)}")


def read_record(name: str) -> tuple[Control, ExperimentRecord]:
    """Return the control store, and an experiment that runs.

    Raises:
        ExperimentRefused: it does not run.
        Fault: the control store cannot be reached.
    """
    control = prepare_control()
    return control, find_running(control, name)


def _tell(record: ExperimentRecord) -> ExperimentResult:
    publish_record(record)
    told = wrap_result(record)
    get_run_logger().info("%s: %s", record.name, told.message)
    return told
