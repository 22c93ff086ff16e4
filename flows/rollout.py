"""Roll a candidate out on live traffic, in stages, until it is champion or rolled back."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.rollout.controller import (
    RESUME_SECONDS,
    RolloutResult,
    conclude_run,
    find_no_need,
    resume_controller,
    run_controller,
)
from tasks.rollout.lease import hold_controller
from tasks.rollout.opening import (
    AS_CANDIDATE,
    AS_CONFIGURED,
    choose_policy,
    forecast_stages,
    make_room,
    open_rollout,
)
from tasks.rollout.settings import load_rollout
from tasks.run.forms import CandidateVersion, PolicyName, RolledName
from tasks.run.names import name_rollout
from tasks.run.state import end_skipped, state_failure


@flow(
    name="rollout",
    flow_run_name=name_rollout,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def rollout(
    service: RolledName,
    version: CandidateVersion = AS_CANDIDATE,
    policy: PolicyName = AS_CONFIGURED,
    resume: bool = False,
) -> RolloutResult | State[Any]:
    """Move traffic to a candidate in stages: advance, hold or roll back on evidence.

    One run controls a rollout from its opening to its end; the page SERVICE-rollout shows its
    state. Control it with `rollout-control`: if you cancel this run, the rollout does not end; the
    champion serves alone until the keeper continues it.

    Args:
        service: The service whose candidate is rolled out: of a model, or a prompt.
        version: The candidate version; -1 takes the one with the alias `candidate`.
        policy: Stages, durations and limits; `as-configured` takes the service's own.
        resume: Only continue a rollout whose controller is gone. The keeper sets it.
    """
    config = load_rollout(service)
    if resume:
        if reason := find_no_need(service):
            return end_skipped(reason)
        with hold_controller(service, config.rollout, RESUME_SECONDS) as held:
            left = resume_controller(held, service)
            return conclude_run(left) if left else end_skipped("the rollout is over")
    chosen = choose_policy(config, policy)
    make_room(config, version)
    with hold_controller(service, config.rollout) as held:
        left = resume_controller(held, service)
        if left and version in (AS_CANDIDATE, left.version):
            return conclude_run(left)
        record, traffic = open_rollout(held, config, version, chosen)
        return conclude_run(run_controller(held, record, forecast_stages(service, chosen, traffic)))
