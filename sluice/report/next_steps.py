"""What a person can do now, with the command to paste."""

from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase
from sluice.verdict import Verdict

DEAD_LINK = "a link that does not open: `sluice ui` serves the pages again"
WHO = "--by NAME --reason WORDS"


def advise_halt(verdict: Verdict, service: str) -> str:
    """Return what to do after a gate halted, and the command that tries it again."""
    again = f"ingest {service} FILE" if verdict.gate == "data" else f"release {service}"
    return f"{verdict.next_step or 'correct the cause'}; then: `sluice {again}`"


def needs_person(record: RolloutRecord) -> bool:
    """Return whether a stage is at its `max` without an end: only a person ends it then."""
    state, policy = record.state, record.policy
    most = policy.count_blocks(policy.stages[state.stage].max)
    return state.phase is Phase.HOLDING and state.observation.blocks >= most


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
        f"then `sluice release {service}`",
        Phase.ABORTED: f"`sluice rollout {service} --version {record.candidate}` tries it again",
    }
    if phase is not Phase.HOLDING:
        return advice.get(phase, "")
    if not needs_person(record):
        return f"wait for the evidence; {back}"
    skip = f"`{control} skip {WHO}` goes to the next stage without proof"
    return f"a person has to decide: wait for more traffic; {skip}; {back}"
