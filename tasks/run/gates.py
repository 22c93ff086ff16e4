"""Gate tasks: a verdict is published first, then a failed one is raised."""

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact

from sluice.control.approval import may_stay_open
from sluice.errors import (
    BiasFound,
    CandidateWorse,
    DataRejected,
    EvidenceInsufficient,
    GateFailed,
    ServingDiffers,
)
from sluice.report.next_steps import advise_halt
from sluice.report.verdict_table import verdict_rows
from sluice.verdict import Outcome, Verdict
from tasks.run.artifacts import publish
from tasks.run.decorators import gate
from tasks.run.events import publish_event

FINDINGS: dict[str, type[GateFailed]] = {
    "data": DataRejected,
    "evaluation": CandidateWorse,
    "bias": BiasFound,
    "parity": ServingDiffers,
}

SHOWN = 3
"""How many notes of a verdict are logged; its table has all of them."""
DESCRIBED = 6
"""How many are above the table on the run's page."""


@gate
def pass_gate(
    verdict: Verdict, service: str, link: str = "", on_insufficient: str = "halt"
) -> Verdict:
    """Publish a verdict as a table and an event, then pass or halt the release.

    With `approve` an insufficient evaluation continues; a person decides at the end.

    Raises:
        GateFailed: the subclass of the gate's finding, or `EvidenceInsufficient`.
    """
    log = get_run_logger()
    publish(
        create_table_artifact,
        key=f"{service}-verdict-{verdict.gate}",
        table=verdict_rows(verdict),
        description=describe_verdict(verdict, link, service),
    )
    undecided = may_stay_open(verdict, on_insufficient)
    emit_verdict(verdict, service, undecided)
    for notice in verdict.notices[:SHOWN]:
        log.warning("%s gate: note: %s", verdict.gate, notice)
    if len(verdict.notices) > SHOWN:
        rest = len(verdict.notices) - SHOWN
        log.warning("%s gate: and %d notes more, all in its verdict table", verdict.gate, rest)
    if verdict.passed:
        log.info("%s gate: pass: %s", verdict.gate, verdict.reason)
        return verdict
    if undecided:
        log.warning("%s gate: insufficient, a person decides: %s", verdict.gate, verdict.message)
        return verdict
    finding = FINDINGS.get(verdict.gate, GateFailed)
    if verdict.outcome is Outcome.INSUFFICIENT:
        finding = EvidenceInsufficient
    raise finding(f"{verdict.reason}; next: {advise_halt(verdict, service)}")


def describe_verdict(verdict: Verdict, link: str, service: str) -> str:
    """Return the verdict's headline as Markdown, with its notices and its link."""
    lines = [f"**{verdict.gate} gate: {verdict.outcome.value}.** {verdict.reason}"]
    lines += [] if verdict.passed else [f"Next: {advise_halt(verdict, service)}"]
    rest = len(verdict.notices) - DESCRIBED
    lines += [f"- {notice}" for notice in verdict.notices[:DESCRIBED]]
    lines += [f"- and {rest} notes more, listed in the table"] if rest > 0 else []
    lines += [f"[MLflow run]({link})"] if link else []
    return "\n\n".join(lines)


def emit_verdict(verdict: Verdict, service: str, undecided: bool = False) -> None:
    """Emit `gate.passed`, `gate.failed`, or `gate.undecided` if a person decides."""
    halted = "gate.undecided" if undecided else "gate.failed"
    stops = not verdict.passed and not undecided
    publish_event(
        service,
        "gate.passed" if verdict.passed else halted,
        {
            "gate": verdict.gate,
            "outcome": verdict.outcome.value,
            "reason": verdict.reason,
            "next": advise_halt(verdict, service) if stops else verdict.next_step,
        },
    )
