"""What a person can do now, with the command to paste; and the error that says so at a halt."""

from sluice.errors import (
    BiasFound,
    CandidateUnsafe,
    CandidateWorse,
    CostExceeded,
    DataRejected,
    EvidenceInsufficient,
    GateFailed,
    PromptRegressed,
    ReleaseInsecure,
    ServingDiffers,
)
from sluice.prompts.listing import name_release
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase
from sluice.verdict import Outcome, Verdict

DEAD_LINK = "a link that does not open: `sluice ui` serves the pages again"
WHO = "--by NAME --reason WORDS"
FINDINGS: dict[str, type[GateFailed]] = {
    "data": DataRejected,
    "evaluation": CandidateWorse,
    "bias": BiasFound,
    "parity": ServingDiffers,
    "security": ReleaseInsecure,
    "prompt": PromptRegressed,
    "safety": CandidateUnsafe,
    "cost": CostExceeded,
}


def advise_halt(verdict: Verdict, service: str, again: str = "") -> str:
    """Return what to do after a gate halted, and the command that tries it again.

    `again` is that command without `sluice`; by default it is that of a service's release.
    """
    usual = f"ingest {service} FILE" if verdict.gate == "data" else f"release {service}"
    again = again or usual
    return f"{verdict.next_step or 'correct the cause'}; then: `sluice {again}`"


def describe_halt(verdict: Verdict, service: str, again: str = "") -> GateFailed:
    """Return the error of a verdict that does not pass, named by the gate's finding.

    `again` is the command that tries it again, without `sluice`; by default that of a service's
    release.
    """
    finding = FINDINGS.get(verdict.gate, GateFailed)
    if verdict.outcome is Outcome.INSUFFICIENT:
        finding = EvidenceInsufficient
    return finding(f"{verdict.reason}; next: {advise_halt(verdict, service, again)}")


def needs_person(record: RolloutRecord) -> bool:
    """Return whether a stage is at its `max` without an end: only a person ends it then."""
    state, policy = record.state, record.policy
    most = policy.count_blocks(policy.stages[state.stage].max)
    return state.phase is Phase.HOLDING and state.observation.blocks >= most


def needs_approval(record: RolloutRecord) -> bool:
    """Return whether a rollout holds in a stage that a person has to approve, and nobody did."""
    state = record.state
    stage = record.policy.stages[state.stage]
    return state.phase is Phase.HOLDING and stage.approve and not state.approved


def needs_help(record: RolloutRecord) -> bool:
    """Return whether a rollout stays where it is until a person acts."""
    is_paused = record.state.phase is Phase.PAUSED
    return is_paused or needs_person(record) or needs_approval(record)


def advise(record: RolloutRecord) -> str:
    """Return what a person can do about a rollout in its present phase; empty if nothing."""
    service, phase = record.service, record.state.phase
    control = f"sluice rollout-control {service}"
    back = f"`sluice rollback {service} {WHO}` gives the champion all traffic"
    advice = {
        Phase.PAUSED: f"`{control} resume {WHO}` continues it; {back}",
        Phase.FROZEN: "look for what makes both versions fail; the rollout continues when it is "
        f"over; {back}",
        Phase.ROLLED_BACK: f"the page {service}-rollout has the evidence; correct the candidate, "
        f"then `{name_release(service)}`",
        Phase.ABORTED: f"`sluice rollout {service} --version {record.candidate}` tries it again",
    }
    if phase is not Phase.HOLDING:
        return advice.get(phase, "")
    if needs_approval(record):
        return f"`{control} approve {WHO}` lets this stage end once it has its evidence; {back}"
    if not needs_person(record):
        return f"wait for the evidence; {back}"
    skip = f"`{control} skip {WHO}` goes to the next stage without proof"
    return f"a person has to decide: wait for more traffic; {skip}; {back}"
