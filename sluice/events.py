"""The events that Sluice emits, by name: a message for people, and what they can do next."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EventText:
    """The text of an event in a notification.

    `message` follows service and version in the first line, and may have fields of the event in
    double braces.
    """

    message: str
    next_step: str = ""


SERVICE_EVENTS = {
    "data.changed": EventText("new data"),
    "gate.passed": EventText("the {{ event.payload.gate }} gate passed"),
    "gate.failed": EventText("halted by the {{ event.payload.gate }} gate"),
    "gate.undecided": EventText(
        "the {{ event.payload.gate }} gate is undecided, a person decides",
        "the release continues and requests an approval at its end",
    ),
    "candidate.registered": EventText("registered as {{ event.payload.alias }}"),
    "approval.requested": EventText(
        "waits for approval until {{ event.payload.deadline }}",
        "`sluice approve {{ service }} --by NAME --reason WORDS`, or the form of `approve`",
    ),
    "approval.approved": EventText("approved by {{ event.payload.by }}"),
    "approval.refused": EventText("refused by {{ event.payload.by }}"),
    "approval.expired": EventText(
        "no decision before the deadline", "release again, with a new request for approval"
    ),
    "approval.superseded": EventText("a newer version waits for approval instead"),
    "rollout.requested": EventText("a rollout is requested"),
    "rollout.started": EventText("the rollout has started"),
    "rollout.advanced": EventText("the rollout advances to {{ event.payload.stage }}"),
    "rollout.held": EventText(
        "the rollout holds at its stage's max, without enough evidence",
        "wait for more traffic, or `sluice rollout-control SERVICE skip --by NAME --reason WORDS`, "
        "or `sluice rollback SERVICE --by NAME --reason WORDS`",
    ),
    "rollout.paused": EventText(
        "the rollout is paused", "`sluice rollout-control SERVICE resume --by NAME --reason WORDS`"
    ),
    "rollout.frozen": EventText(
        "the rollout is frozen, both versions fail",
        "look for a shared cause; the rollout continues after the incident",
    ),
    "rollout.thawed": EventText("the incident is over, the rollout continues"),
    "rollout.commanded": EventText("a command to the rollout was carried out"),
    "rollout.command-refused": EventText("a command to the rollout was refused"),
    "rollout.rolling-back": EventText("the candidate is being rolled back"),
    "rollout.rolled-back": EventText(
        "rolled back, the champion has all traffic again",
        "look at the run's evidence, fix the candidate and release again",
    ),
    "rollout.promoted": EventText("promoted, it is champion now"),
    "rollout.aborted": EventText("the rollout is aborted, the champion has all traffic"),
    "rollout.conflict": EventText(
        "conflict about who serves: {{ event.payload.reason }}",
        "`sluice show SERVICE` and the page `rollouts` have it, with what to do",
    ),
    "rollout.adopted": EventText("champion by an alias that was moved by hand"),
    "rollout.forced": EventText(
        "serves by an exception of {{ event.payload.by }}, although it did not pass its gates",
        "release it through its gates, or restore a version that passed them",
    ),
    "rollout.restored": EventText("restored as champion by {{ event.payload.by }}"),
    "rollout.rollback": EventText("champion again by {{ event.payload.by }}"),
}
"""Events on the resource `sluice.service.NAME`."""

RUN_EVENTS = {
    "run.failed": EventText("{{ flow.name }} failed"),
    "run.crashed": EventText(
        "{{ flow.name }} crashed", "look at the run's log, and start it again where needed"
    ),
}
"""Failed ends of flow runs."""

TRIGGER_EVENTS = {
    "trigger.failed": EventText(
        "a trigger could not act", "see the artifact `failed-triggers`, then start it by hand"
    ),
}
"""A failed action of an automation, except of a notification."""

EVENTS = SERVICE_EVENTS | RUN_EVENTS | TRIGGER_EVENTS


def expand_event(pattern: str) -> list[str]:
    """List the events that match a pattern such as `gate.failed` or `rollout.*`."""
    if not pattern.endswith(".*"):
        return [pattern] if pattern in EVENTS else []
    return [name for name in EVENTS if name.startswith(pattern[:-1])]
