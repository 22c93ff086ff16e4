"""The registry's aliases, kept where a rollout's state says; done again it changes nothing."""

from prefect import get_run_logger

from sluice.adapters.control.store import Control
from sluice.adapters.registry.client import open_registry
from sluice.errors import Fault
from sluice.home import find_home
from sluice.rollout.record import RolloutRecord


def follow_record(course: RolloutRecord) -> None:
    """Move the aliases: a candidate with all traffic is champion, a beaten one has none.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    if course.is_serving:
        registry.make_champion(course.service, course.candidate)
    elif course.is_beaten:
        registry.take_back(course.service, course.champion, course.candidate)


def try_follow(course: RolloutRecord) -> bool:
    """Move the aliases if the registry answers; say whether they are where they belong."""
    try:
        follow_record(course)
    except Fault as error:
        get_run_logger().warning("the aliases do not follow yet: %s", error)
        return False
    return True


def settle_ended(control: Control, service: str = "") -> list[RolloutRecord]:
    """Finish what runs that were killed left: aliases that do not follow a rollout's end.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    left = [item for item in control.rollouts.list_unsettled() if service in ("", item.service)]
    for course in left:
        follow_record(course)
        control.rollouts.settle(course)
    return left
