"""The events that Sluice emits, by name: a message for people, and what they can do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EventText:
    """The text of an event in a notification.

    `message` follows service and version in the first line, and may have fields of the event in
    double braces.
    """

    message: str
    next_step: str = ""


def describe_resource(service: str, payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the resource of a service's event, always of the same id.

    A payload's `version` is also its label `sluice.version`, because triggers distinguish events by
    labels only.
    """
    resource = {
        "prefect.resource.id": f"sluice.service.{service}",
        "prefect.resource.name": service,
    }
    version = {"sluice.version": str(payload["version"])} if "version" in payload else {}
    return {**resource, **version}


SERVICE_EVENTS = {
    "data.changed": EventText("new data"),
    "prompt.changed": EventText(
        "a version that is wished changed, or its cases or limits",
    ),
    "prompt.mismatch": EventText("{{ event.payload.reason }}"),
    "prompt.edited": EventText(
        "a version that was evaluated was edited: {{ event.payload.reason }}",
        "undo the change, or make a new version: `sluice prompt new {{ service }}`",
    ),
    "prompt.regressed": EventText(
        "asked anew it fails its gates: {{ event.payload.reason }}",
        "look at the artifact {{ service }}-prompt-check; publish another version, or name another "
        "model, where that is better",
    ),
    "gate.passed": EventText("the {{ event.payload.gate }} gate passed"),
    "gate.failed": EventText("halted by the {{ event.payload.gate }} gate"),
    "gate.undecided": EventText(
        "the {{ event.payload.gate }} gate is undecided, a person decides",
        "the release continues and requests an approval at its end",
    ),
    "cost.unknown": EventText(
        "what calls cost is not known: {{ event.payload.reason }}",
        "state the model's price in configs/llm/providers.yaml, and see that its provider counts "
        "tokens",
    ),
    "cost.overrun": EventText(
        "calls cost more than was reserved: {{ event.payload.reason }}",
        "compare the price and the tokens of {{ event.payload.model }} with its provider's bill",
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
        "wait for more traffic, or `sluice rollout-control {{ service }} skip --by NAME --reason "
        "WORDS`, or `sluice rollback {{ service }} --by NAME --reason WORDS`",
    ),
    "rollout.paused": EventText(
        "the rollout is paused",
        "`sluice rollout-control {{ service }} resume --by NAME --reason WORDS`",
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
        "`sluice show {{ service }}` and the page `rollouts` have it, with what to do",
    ),
    "rollout.adopted": EventText("champion by an alias that was moved by hand"),
    "rollout.forced": EventText(
        "serves by an exception of {{ event.payload.by }}, although it did not pass its gates",
        "release it through its gates, or restore a version that passed them",
    ),
    "experiment.started": EventText(
        "the experiment {{ event.payload.experiment }} has started beside "
        "v{{ event.payload.champion }}"
    ),
    "experiment.ended": EventText(
        "the experiment {{ event.payload.experiment }} is over as planned",
        "analyse it: `sluice experiment analyse NAME`",
    ),
    "experiment.stopped": EventText(
        "the experiment {{ event.payload.experiment }} ended before its time: "
        "{{ event.payload.reason }}",
        "see its page; `sluice experiment status NAME` has what to do",
    ),
    "experiment.analysed": EventText(
        "the experiment {{ event.payload.experiment }} was analysed, "
        "{{ event.payload.recommended }} is recommended: {{ event.payload.reason }}",
        "decide: `sluice experiment decide NAME CHOICE --by NAME --reason WORDS`",
    ),
    "experiment.decided": EventText(
        "the experiment {{ event.payload.experiment }}: {{ event.payload.decision }} by "
        "{{ event.payload.by }}"
    ),
    "retraining.waiting": EventText(
        "a retraining waits for labels: {{ event.payload.found }} of {{ event.payload.needed }}",
        "send labels as feedback or ingest labelled rows; `retrain.minimum_labels` is the number",
    ),
    "traffic.clock-ahead": EventText(
        "a clock is ahead: records of the traffic log come long after all others",
        "set the clock, or, where it is right: "
        "`sluice retention --accept --by NAME --reason WORDS`",
    ),
    "drift.detected": EventText(
        "drift of {{ event.payload.kind }}: {{ event.payload.names }}",
        "see the report of {{ service }}: `sluice drift {{ service }}`, or the artifact of its run",
    ),
    "drift.resolved": EventText(
        "drift of {{ event.payload.kind }} is over: {{ event.payload.reason }}"
    ),
    "performance.dropped": EventText(
        "performance dropped: {{ event.payload.reason }}",
        "see which slices dropped and which inputs moved; release again on newer labels",
    ),
    "performance.recovered": EventText("performance has recovered: {{ event.payload.reason }}"),
    "reproduction.identical": EventText("made again from its record: identical"),
    "reproduction.differs": EventText(
        "made again from its record: {{ event.payload.reason }}",
        "see the artifact {{ service }}-reproduction, which has every fact beside its record",
    ),
    "rollout.restored": EventText("restored as champion by {{ event.payload.by }}"),
    "rollout.rollback": EventText("champion again by {{ event.payload.by }}"),
    "alert.pending": EventText(
        "{{ event.payload.rule }} is broken, and will be raised if it lasts"
    ),
    "alert.raised": EventText(
        "{{ event.payload.severity }}: {{ event.payload.title }} ({{ event.payload.rule }}): "
        "{{ event.payload.reason }}",
        "`sluice monitoring status {{ service }}` has what to look at and what to do",
    ),
    "alert.muted": EventText("{{ event.payload.rule }} fires while it is silenced"),
    "alert.resolved": EventText("{{ event.payload.rule }} is resolved: {{ event.payload.reason }}"),
    "alert.cleared": EventText("{{ event.payload.rule }} ended without having been raised"),
    "alert.silenced": EventText("{{ event.payload.rule }} is silenced by {{ event.payload.by }}"),
    "alert.unsilenced": EventText("{{ event.payload.rule }} is no longer silenced"),
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
