"""Gate tasks: a verdict is published first, then a failed one is raised."""

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from sluice.control.approval import may_stay_open
from sluice.report.next_steps import advise_halt, describe_halt
from sluice.report.verdict_page import write_verdict
from sluice.verdict import Verdict
from tasks.run.artifacts import publish
from tasks.run.decorators import gate
from tasks.run.events import publish_event
from tasks.run.lineage import note_verdict

SHOWN = 3
"""How many notes of a verdict are logged; its page has all of them."""


@gate
def pass_gate(
    verdict: Verdict,
    service: str,
    link: str = "",
    on_insufficient: str = "halt",
    again: str = "",
) -> Verdict:
    """Publish a verdict as a page and an event, then pass or halt the release.

    With `approve` an insufficient evaluation continues; a person decides at the end. `again` is
    the command that tries it again, without `sluice`; by default that of a service's release.

    Raises:
        GateFailed: the subclass of the gate's finding, or `EvidenceInsufficient`.
    """
    log = get_run_logger()
    note_verdict(verdict)
    publish(
        create_markdown_artifact,
        key=f"{service}-verdict-{verdict.gate}",
        markdown=write_verdict(verdict, service, link),
        description=f"{verdict.gate} gate: {verdict.outcome.value}. {verdict.reason}",
    )
    undecided = may_stay_open(verdict, on_insufficient)
    emit_verdict(verdict, service, undecided)
    for notice in verdict.notices[:SHOWN]:
        log.warning("%s gate: note: %s", verdict.gate, notice)
    if len(verdict.notices) > SHOWN:
        rest = len(verdict.notices) - SHOWN
        log.warning("%s gate: and %d notes more, all on its verdict page", verdict.gate, rest)
    if verdict.passed:
        log.info("%s gate: pass: %s", verdict.gate, verdict.reason)
        return verdict
    if undecided:
        log.warning("%s gate: insufficient, a person decides: %s", verdict.gate, verdict.message)
        return verdict
    raise describe_halt(verdict, service, again)


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
