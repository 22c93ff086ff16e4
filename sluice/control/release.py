"""A release as the control store records it: when, why, what each gate concluded, how it ended."""

from dataclasses import dataclass
from datetime import datetime

RUNNING, REGISTERED, HALTED, FAILED = "running", "registered", "halted", "failed"
INTERRUPTED = "interrupted"
"""A release whose process was killed; the next release of the service finds it."""
PASSED = "pass"


@dataclass(frozen=True)
class GateResult:
    """What a gate concluded in a release: `pass`, `fail` or `insufficient`, and the reason."""

    gate: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class ReleaseRecord:
    """One release, under way or ended.

    `registry_run` and `experiment` are the registry's ids, `flow_run` the orchestrator's.
    `version` is what it registered; `message` says why it ended as it did.
    """

    service: str
    registry_run: str
    experiment: str
    flow_run: str
    data_version: int
    cause: str
    started: datetime
    ended: datetime | None = None
    outcome: str = RUNNING
    version: int | None = None
    message: str = ""
    gates: tuple[GateResult, ...] = ()
    """In the order in which they judged."""

    @property
    def stopped_by(self) -> str:
        """The gate that halted it; empty where none did."""
        last = self.gates[-1] if self.gates else None
        is_halted = self.outcome == HALTED and last is not None and last.outcome != PASSED
        return last.gate if last is not None and is_halted else ""

    @property
    def advice(self) -> str:
        """What its message says to do next; empty where it says nothing."""
        return self.message.partition("; next: ")[2]
