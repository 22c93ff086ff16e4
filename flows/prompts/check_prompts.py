"""Ask the versions of prompts that serve their own cases anew, and tell a fall."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.prompts.live.check_run import CheckRun, choose_serving
from tasks.run.forms import ALL, PromptOrAll
from tasks.run.state import state_failure


@flow(
    name="check_prompts",
    flow_run_name="{prompt}",
    persist_result=False,
    result_serializer="json",
)
@state_failure
def check_prompts(prompt: PromptOrAll = ALL, cause: str = "schedule") -> State[Any]:
    """Evaluate what serves on its own set without kept replies, so that a silent change is found.

    A version that fails its gates emits `prompt.regressed` and raises the alert
    `evaluation-regressed`; that event starts a run that asks the fallback of its model, too. This
    run stays green, and what serves stays: rolling back is a person's choice.

    Args:
        prompt: The prompt to check, or all that serve.
        cause: Why it runs; `prompt.regressed` asks the fallback, too.
    """
    run = CheckRun(cause)
    for name in choose_serving(prompt):
        run.check(name)
    return run.end()
