"""What Sluice tells the world, by name: the words for a person, and what a person can do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EventText:
    """What an event says to a person.

    `words` follow the service and version in a message's first line, and may hold fields of the
    event in double braces.
    """

    words: str
    next_step: str = ""


SERVICE_EVENTS = {
    "data.changed": EventText("new data"),
    "gate.passed": EventText("the {{ event.payload.gate }} gate passed"),
    "gate.failed": EventText("halted by the {{ event.payload.gate }} gate"),
    "gate.open": EventText(
        "the {{ event.payload.gate }} gate cannot tell, a person decides",
        "the release goes on and asks for approval at its end",
    ),
    "candidate.registered": EventText("registered as {{ event.payload.alias }}"),
    "approval.requested": EventText(
        "waits for approval until {{ event.payload.deadline }}",
        "`sluice approve SERVICE --by NAME --why WORDS`, or the form of `approve`",
    ),
    "approval.approved": EventText("approved by {{ event.payload.by }}"),
    "approval.refused": EventText("refused by {{ event.payload.by }}"),
    "approval.expired": EventText("nobody decided in time", "release again, it asks anew"),
    "approval.superseded": EventText("a newer version waits for approval instead"),
    "rollout.wanted": EventText("a rollout is asked for"),
    "rollout.started": EventText("the rollout has begun"),
    "rollout.advanced": EventText("the rollout goes on to {{ event.payload.stage }}"),
    "rollout.held": EventText(
        "the rollout is held, neither good nor bad is proved",
        "wait for more traffic, or skip, promote or roll back by `rollout-control`",
    ),
    "rollout.paused": EventText("the rollout is paused", "resume it by `rollout-control`"),
    "rollout.frozen": EventText(
        "the rollout is frozen, both versions fail",
        "look for what they share; it goes on when the incident is over",
    ),
    "rollout.thawed": EventText("the incident is over, the rollout goes on"),
    "rollout.commanded": EventText("the rollout obeys a command"),
    "rollout.command-refused": EventText("the rollout refused a command"),
    "rollout.rolling-back": EventText("the candidate is being taken off"),
    "rollout.rolled-back": EventText(
        "rolled back, the champion has all traffic again",
        "look at the run's evidence, mend the candidate and release again",
    ),
    "rollout.promoted": EventText("promoted, it is champion now"),
    "rollout.aborted": EventText("the rollout is aborted, the champion has all traffic"),
    "rollout.conflict": EventText(
        "the alias champion was moved by hand during a rollout",
        "move it back, or steer the rollout by `rollout-control`",
    ),
    "rollout.adopted": EventText("champion by an alias that was moved by hand"),
    "rollout.restore": EventText("restored as champion by {{ event.payload.by }}"),
    "rollout.rollback": EventText("champion again by {{ event.payload.by }}"),
}
"""Events on the resource `sluice.service.NAME`."""

RUN_EVENTS = {
    "run.failed": EventText("{{ flow.name }} failed"),
    "run.crashed": EventText(
        "{{ flow.name }} crashed", "look at the run's log, and start it again where needed"
    ),
}
"""Ends of flow runs, whatever raised."""

TRIGGER_EVENTS = {
    "trigger.failed": EventText(
        "a trigger could not act", "see the artifact `failed-triggers`, then start it by hand"
    ),
}
"""An automation whose action failed; those of notifications aside."""

EVENTS = SERVICE_EVENTS | RUN_EVENTS | TRIGGER_EVENTS


def expand_event(pattern: str) -> list[str]:
    """Name the events that a pattern such as `gate.failed` or `rollout.*` means, if any."""
    if not pattern.endswith(".*"):
        return [pattern] if pattern in EVENTS else []
    return [name for name in EVENTS if name.startswith(pattern[:-1])]
