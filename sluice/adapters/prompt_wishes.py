"""What `prompts/config.yaml` wishes beside what the control store and past evaluations say."""

from collections.abc import Sequence

from sluice.adapters.control.store import Control
from sluice.adapters.llm.readiness import find_obstacle
from sluice.control.cause import PROMPT_CHANGED
from sluice.control.prompt_wish import PromptWish, name_change
from sluice.errors import PromptChanged
from sluice.prompts.change import identify_change
from sluice.prompts.evaluation.record import EvaluationRecord
from sluice.prompts.folder import Prompt
from sluice.prompts.version import check_unchanged


def find_serving(control: Control, prompt: str) -> int | None:
    """Return the version of a prompt that serves by the control store's route.

    Raises:
        Fault: the control store cannot be reached.
    """
    route = control.routes.find(prompt)
    return route.champion if route and route.kind == "prompt" else None


def read_wish(control: Control, prompt: Prompt, wished: int, environment: str) -> PromptWish:
    """Return a prompt's wish beside the fact.

    Raises:
        PromptInvalid: there is no such version.
        Fault: the control store cannot be reached.
    """
    name = prompt.name
    key = name_change(wished, identify_change(prompt, wished, environment))
    claim = control.causes.find(name, PROMPT_CHANGED, key)
    serves = find_serving(control, name)
    obstacle = find_obstacle(prompt.find_version(wished).model, environment)
    return PromptWish(
        prompt=name,
        wished=wished,
        serves=serves,
        has_served=serves is not None and control.timeline.has_served(name, wished),
        outcome=claim.outcome if claim else None,
        obstacle=str(obstacle or ""),
        is_on_trial=control.rollouts.find_open(name) is not None,
    )


def find_edited(prompt: Prompt, records: Sequence[EvaluationRecord]) -> dict[int, str]:
    """Return the versions whose files are not what was evaluated, each with what to do."""
    found = dict[int, str]()
    for record in records:
        version = prompt.versions.get(record.version)
        if version is None:
            continue
        try:
            check_unchanged(version, record.identity, "evaluated")
        except PromptChanged as error:
            found[record.version] = str(error)
    return found
