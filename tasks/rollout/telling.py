"""What Prefect is told of a champion that a person moved: an event, once."""

from collections.abc import Callable
from typing import Any

from sluice.adapters.control.store import Control
from sluice.control.timeline import FORCED, RESTORE, ROLLBACK

EVENTS = {
    RESTORE: "rollout.restored",
    FORCED: "rollout.forced",
    ROLLBACK: "rollout.rollback",
}
"""The event after each action that serves an earlier version."""
Emit = Callable[[str, dict[str, Any]], bool]


def tell_moves(control: Control, service: str, emit: Emit) -> bool:
    """Emit the event of each move that Prefect was not told of; return whether all were emitted.

    Whoever comes first tells: the terminal, a form's run, or the keeper. An event can come twice.

    Raises:
        Fault: the control store cannot be reached.
    """
    for moved in control.moves.list_untold(service):
        payload = {"version": moved.version, "by": moved.by, "reason": moved.reason}
        if not emit(EVENTS[moved.action], payload):
            return False
        control.moves.mark_told(moved)
    return True
