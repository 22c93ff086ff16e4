"""Roll a candidate out on live traffic: shadow, then in stages, until it serves or is taken off."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from sluice.config.loading import load_service
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
from tasks.run.forms import CandidateVersion, PolicyName, ServiceName
from tasks.run.names import name_rollout
from tasks.run.state import end_skipped, state_failure
from tasks.run.tags import environment_name


@flow(
    name="rollout",
    flow_run_name=name_rollout,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def rollout(
    service: ServiceName,
    version: CandidateVersion = AS_CANDIDATE,
    policy: PolicyName = AS_CONFIGURED,
    resume: bool = False,
) -> RolloutResult | State[Any]:
    """Move traffic to a candidate in stages; roll back, go on or hold on evidence.

    One run controls a rollout for its whole life; the page SERVICE-rollout shows where it is. Steer
    it with `rollout-control`: cancelling this run ends nothing but the watch, the champion then
    serves alone and the keeper continues.

    Args:
        service: The service whose candidate is rolled out.
        version: The version on trial; -1 takes the one that carries the alias `candidate`.
        policy: Stages, durations and limits; `as configured` takes the service's own.
        resume: Only continue a rollout whose controller is gone. The keeper sets it.
    """
    config = load_service(service, environment_name())
    if resume:
        if why := find_no_need(service):
            return end_skipped(why)
        with hold_controller(service, config.rollout, RESUME_SECONDS) as held:
            left = resume_controller(held, service)
            return conclude_run(left) if left else end_skipped("the rollout is over")
    chosen = choose_policy(config, policy)
    make_room(config, version)
    with hold_controller(service, config.rollout) as held:
        left = resume_controller(held, service)
        if left and version in (AS_CANDIDATE, left.version):
            return conclude_run(left)
        course, seen = open_rollout(held, config, version, chosen)
        return conclude_run(run_controller(held, course, forecast_stages(chosen, seen)))
