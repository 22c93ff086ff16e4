"""A rollout whose controller is gone, continued from the state that the control store has."""

from prefect import get_run_logger

from tasks.control import prepare_control
from tasks.rollout_aliases import settle_ended
from tasks.rollout_lease import Held, is_controlled
from tasks.rollout_ticks import Ended, conduct

RESUME_SECONDS = 60.0
"""A run that only resumes does not wait for longer: the keeper comes again."""


def find_no_need(service: str) -> str:
    """Say why nothing is to be resumed; empty where something is.

    Raises:
        Fault: the control store cannot be reached.
    """
    control = prepare_control()
    if control.rollouts.find_open(service) is None:
        return f"no rollout of {service} is under way"
    return f"the rollout of {service} has a controller" if is_controlled(control, service) else ""


def conduct_left(held: Held, service: str) -> Ended | None:
    """Bring the rollout that another controller left to its end; None where there is none.

    Raises:
        LeaseLost: another controller has taken over.
        Fault: the control store or the registry cannot be reached.
    """
    settle_ended(held.control, service)
    course = held.control.rollouts.find_open(service)
    if course is None:
        return None
    get_run_logger().warning(
        "rollout %d of %s v%d, %s, is continued from tick %d",
        *(course.number, service, course.candidate, course.state.phase, course.tick),
    )
    return conduct(held, course)
