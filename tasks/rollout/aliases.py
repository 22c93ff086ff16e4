"""The registry's aliases as a rollout's state requires them; every step can be repeated."""

from sluice.adapters.control.store import Control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.service_versions import open_versions
from sluice.errors import Fault
from sluice.home import find_home
from sluice.rollout.record import RolloutRecord


def follow_record(control: Control, rollout: RolloutRecord) -> None:
    """Move the aliases: a candidate with all traffic is champion, one rolled back has none.

    Where the route names another champion by now, a later command moved it, and its alias stays.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    versions = open_versions(control, open_registry(find_home()), rollout.service)
    if rollout.is_serving:
        route = control.routes.find(rollout.service)
        if route is None or route.champion == rollout.candidate:
            versions.make_champion(rollout.candidate, rollout.champion)
    elif rollout.is_beaten:
        versions.revert_promotion(rollout.champion, rollout.candidate)


def try_follow(control: Control, rollout: RolloutRecord) -> bool:
    """Move the aliases if the registry answers; return whether they are as required."""
    try:
        follow_record(control, rollout)
    except Fault as error:
        from prefect import get_run_logger  # the terminal moves aliases without Prefect

        get_run_logger().warning("the aliases could not be moved yet: %s", error)
        return False
    return True


def settle_ended(control: Control, service: str = "") -> list[RolloutRecord]:
    """Move the aliases of ended rollouts whose run was killed before it could.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    left = [item for item in control.rollouts.list_unsettled() if service in ("", item.service)]
    for rollout in left:
        follow_record(control, rollout)
        control.rollouts.settle(rollout)
    return left
