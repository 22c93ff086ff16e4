"""The cause of a prompt's release: one release handles a change of a prompt."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.runtime import flow_run

from sluice.adapters.control.store import prepare_control
from sluice.adapters.prompt_wishes import read_wish
from sluice.control.cause import PROMPT_CHANGED, Claim, is_automatic
from sluice.control.lease import Lease
from sluice.control.prompt_wish import PUBLISHED, name_change
from sluice.errors import GateFailed
from sluice.home import environment_name
from sluice.prompts.change import identify_change
from sluice.prompts.folder import load_active, load_prompt
from tasks.run.claims import settle_claim
from tasks.run.decorators import effect


@contextmanager
def handle_change(
    prompt: str, version: int, cause: str, lease: Lease, publishes: bool
) -> Iterator[str]:
    """Yield why there is nothing to do for this cause; empty where this run has to handle it.

    A release that published the version, or that a gate halted, has handled the change, whatever
    its cause; an evaluation alone only where a gate halted it. After an infrastructure error, a
    refusal or a kill the claim stays open.

    Raises:
        PromptInvalid: a file is not valid, or there is no such version.
        LeaseLost: another run has the lease.
        Fault: the control store cannot be reached.
    """
    if reason := find_reason(prompt, version, cause):
        yield reason
        return
    key = name_change(version, identify_change(load_prompt(prompt), version, environment_name()))
    claim = claim_change(key, lease, publishes) if publishes else None
    try:
        yield ""
    except GateFailed as error:
        claim = claim or claim_change(key, lease, publishes)
        settle_claim(lease, claim, f"was halted by {type(error).__name__}")
        raise
    if claim:
        settle_claim(lease, claim, PUBLISHED)


@effect
def find_reason(prompt: str, version: int, cause: str) -> str:
    """Return why a change starts nothing by itself, empty where it may; a person always may.

    An event can come late or twice: what counts is what is wished now.

    Raises:
        PromptInvalid: a file is not valid, or there is no such version.
        Fault: the control store cannot be reached.
    """
    if not is_automatic(cause):
        return ""
    environment = environment_name()
    wished = load_active().of(environment).get(prompt)
    if wished != version:
        now = f"wishes v{wished}" if wished else "wishes none"
        return f"v{version} is not wished any more: prompts/config.yaml {now} in {environment}"
    wish = read_wish(prepare_control(), load_prompt(prompt), version, environment)
    if wish.outcome:
        return f"v{version} was handled: its release {wish.outcome}"
    return wish.explain() if wish.is_taken_off else ""


@effect
def claim_change(key: str, lease: Lease, reopens: bool) -> Claim:
    """Claim a change for this run; `reopens` it, whatever became of it before.

    Raises:
        LeaseLost: another run has the lease.
        Fault: the control store cannot be reached.
    """
    causes = prepare_control().causes
    return causes.claim(lease, PROMPT_CHANGED, key, str(flow_run.id), reopens=reopens)
