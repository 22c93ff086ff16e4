"""What Sluice tells the world, by name: the words for a person, and what a person can do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Happening:
    """What an event says to a person.

    `words` follow the service and version in a message's first line, and may hold fields of the
    event in double braces.
    """

    words: str
    next_step: str = ""


SERVICE_EVENTS = {
    "data.changed": Happening("new data"),
    "gate.passed": Happening("the {{ event.payload.gate }} gate passed"),
    "gate.failed": Happening("halted by the {{ event.payload.gate }} gate"),
    "gate.open": Happening(
        "the {{ event.payload.gate }} gate cannot tell, a person decides",
        "the release goes on and asks for approval at its end",
    ),
    "candidate.registered": Happening("registered as {{ event.payload.alias }}"),
    "approval.requested": Happening(
        "waits for approval until {{ event.payload.deadline }}",
        "`sluice approve SERVICE --by NAME --why WORDS`, or the form of `approve`",
    ),
    "approval.approved": Happening("approved by {{ event.payload.by }}"),
    "approval.refused": Happening("refused by {{ event.payload.by }}"),
    "approval.expired": Happening("nobody decided in time", "release again, it asks anew"),
    "approval.superseded": Happening("a newer version waits for approval instead"),
    "rollout.wanted": Happening("a rollout is asked for"),
    "rollout.started": Happening("the rollout has begun"),
    "rollout.advanced": Happening("the rollout goes on to {{ event.payload.stage }}"),
    "rollout.held": Happening(
        "the rollout is held, neither good nor bad is proved",
        "wait for more traffic, or skip, promote or roll back by `rollout-control`",
    ),
    "rollout.paused": Happening("the rollout is paused", "resume it by `rollout-control`"),
    "rollout.frozen": Happening(
        "the rollout is frozen, both versions fail",
        "look for what they share; it goes on when the incident is over",
    ),
    "rollout.thawed": Happening("the incident is over, the rollout goes on"),
    "rollout.commanded": Happening("the rollout obeys a command"),
    "rollout.command-refused": Happening("the rollout refused a command"),
    "rollout.rolling-back": Happening("the candidate is being taken off"),
    "rollout.rolled-back": Happening(
        "rolled back, the champion has all traffic again",
        "look at the run's evidence, mend the candidate and release again",
    ),
    "rollout.promoted": Happening("promoted, it is champion now"),
    "rollout.aborted": Happening("the rollout is aborted, the champion has all traffic"),
    "rollout.conflict": Happening(
        "the alias champion was moved by hand during a rollout",
        "move it back, or steer the rollout by `rollout-control`",
    ),
    "rollout.adopted": Happening("champion by an alias that was moved by hand"),
    "rollout.restore": Happening("restored as champion by {{ event.payload.by }}"),
    "rollout.rollback": Happening("champion again by {{ event.payload.by }}"),
}
"""Events on the resource `sluice.service.NAME`."""

RUN_EVENTS = {
    "run.failed": Happening("{{ flow.name }} failed"),
    "run.crashed": Happening(
        "{{ flow.name }} crashed", "look at the run's log, and start it again where needed"
    ),
}
"""Ends of flow runs, whatever raised."""

TRIGGER_EVENTS = {
    "trigger.failed": Happening(
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
