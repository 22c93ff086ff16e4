"""What happened in a rollout, from the control store and from what the callers counted."""

from datetime import datetime
from typing import Any

from flows.terminal import say, show_rows
from sluice.adapters.control.store import Control
from sluice.rollout.course import Course
from sluice.rollout.log import Record, derive
from sluice.rollout.phases import Verb

Log = list[tuple[datetime, Record]]


def show_decisions(log: Log) -> None:
    """Print every decision but the holds: when, where the rollout was, what and why."""
    rows = [
        {
            "time": at.astimezone().strftime("%H:%M:%S"),
            "then at": f"{record['stage']}, {record['weight']:.0%}",
            "decision": record["decision"],
            "why": record["reason"],
        }
        for at, record in log[1:]
        if record["decision"] != Verb.HOLD
    ]
    show_rows("Decisions of the rollout", rows)


def show_callers(counts: dict[str, Any]) -> None:
    """Print what callers got: answers by the arm that each was assigned to, and errors."""
    rows = [
        {
            "assigned arm": source["arm"],
            "answered by": f"v{source['version']}",
            "answers": f"{source['answers']:,}",
            "right": f"{source['right'] / max(source['answers'], 1):.1%}",
        }
        for source in counts["sources"]
    ]
    show_rows("What callers got", rows)
    errors = ", ".join(f"{kind}: {n:,}" for kind, n in sorted(counts["errors"].items())) or "0"
    say(f"callers sent {counts['sent']:,} requests; errors at callers: {errors}")


def derive_again(control: Control, course: Course) -> int:
    """Derive each decision of a rollout again from its log alone; give how many there were.

    Raises:
        LogBroken: the log does not lead to the decisions that it holds.
    """
    log = control.rollouts.read_log(course.service, course.number)
    return len(list(derive([record for _, record in log], course.policy)))


def give_account(control: Control, course: Course, counts: dict[str, Any]) -> None:
    """Print decisions, callers, who serves, and that the log leads to each decision again.

    Raises:
        LogBroken: it does not.
        ControlUnavailable: the control store does not answer.
    """
    say("")
    show_decisions(control.rollouts.read_log(course.service, course.number))
    show_callers(counts)
    route = control.routes.find(course.service)
    serves = f"v{route.champion} serves" if route else "nobody serves"
    say(
        f"{course.service}: v{course.candidate} on trial beside v{course.champion}, "
        f"policy {course.policy.policy}: {course.state.phase}; {serves}"
    )
    ticks = derive_again(control, course)
    say(f"derived again from the decision log alone: all {ticks} steps, each with its reason")
