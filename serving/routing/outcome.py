"""What came of a request's calls, and its record in the log, for models and prompts alike."""

import time
from typing import Generic, NamedTuple, Protocol, TypeVar

from serving.log.records import Answer, AssignedArm
from serving.routing.assignment import Assignment
from serving.routing.calls import Bulkhead
from serving.routing.model_table import LoadedVersion
from sluice.control.route import Route

EXPERIMENT_ARMS = {
    AssignedArm.CHAMPION: "control",
    AssignedArm.CANDIDATE: "treatment",
    AssignedArm.NONE: None,
}
"""What an arm is in an experiment."""


class ArmCall(Protocol):
    """The call of one arm, once it has ended."""

    @property
    def failed(self) -> bool:
        """Whether the arm failed."""

    @property
    def reason(self) -> str:
        """Why, in one word; empty where it did not."""

    @property
    def latency_ms(self) -> float:
        """Its own time in milliseconds; 0 where it failed."""


Called = TypeVar("Called", bound=ArmCall)


class CallOutcome(NamedTuple, Generic[Called]):
    """The calls of a request: the candidate's if it was asked first, and the one that answers."""

    tried: Called | None
    last: Called

    @property
    def by_candidate(self) -> bool:
        """Whether the caller gets the candidate's answer."""
        return self.tried is self.last

    @property
    def is_fallback(self) -> bool:
        """Whether the champion answered in the candidate's place."""
        return self.tried is not None and self.tried is not self.last and not self.last.failed


class AssignedRequest(Protocol):
    """A request that was assigned to an arm."""

    @property
    def route(self) -> Route:
        """The route as the request found it."""

    @property
    def champion(self) -> LoadedVersion:
        """The version that serves."""

    @property
    def assignment(self) -> Assignment[Bulkhead]:
        """Its arm."""

    @property
    def request_id(self) -> str:
        """Its id."""

    @property
    def unit(self) -> str:
        """The hash of its unit."""

    @property
    def trace_id(self) -> str | None:
        """The caller's trace; None where it named none."""


def describe_answer(
    context: AssignedRequest, outcome: CallOutcome[Called], inputs: bytes, outputs: bytes
) -> Answer:
    """Return the record of a request; latency and failure are those of the assigned arm.

    A probe of an open breaker belongs to no arm: its record has the champion's call only.
    """
    assignment, (tried, last) = context.assignment, outcome
    is_candidate = assignment.arm is AssignedArm.CANDIDATE
    own = tried if is_candidate and tried is not None else last
    candidate, champion = context.route.candidate or 0, context.champion.version
    experiment = context.route.experiment or None
    return Answer(
        request_id=context.request_id,
        unit=context.unit,
        service=context.route.service,
        arm=assignment.arm,
        arm_version=candidate if is_candidate else champion,
        version=candidate if outcome.by_candidate else champion,
        place=assignment.place,
        epoch=context.route.epoch,
        at=time.time(),
        latency_ms=own.latency_ms,
        failed=own.failed,
        reason=(tried or last).reason,
        fallback=outcome.is_fallback,
        inputs=inputs,
        outputs=outputs,
        stages=assignment.stages,
        trace_id=context.trace_id,
        experiment=experiment,
        experiment_arm=EXPERIMENT_ARMS[assignment.arm] if experiment else None,
    )
