"""The registry's mirror of a prompt: each published version once, the alias on what serves."""

from sluice.adapters.control.store import Control
from sluice.adapters.prompt_wishes import find_serving
from sluice.adapters.registry.aliases import CHAMPION
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.prompts import PublishedPrompt
from sluice.errors import PromptInvalid
from sluice.home import find_home
from sluice.prompts.evaluation.record import find_latest, read_evaluations
from sluice.prompts.folder import load_prompt
from sluice.prompts.template import PLACEHOLDER
from sluice.prompts.version import PromptVersion

MIRROR = "prompt mirror"
"""Subject of the watermark of the version that the registry shows as the one that serves."""


def describe_published(
    version: PromptVersion, eval_set: str, model: str, cases: int
) -> PublishedPrompt:
    """Return what the registry shows of a version, with the identities of what was evaluated."""
    return PublishedPrompt(
        version.name,
        version.version,
        version.identity,
        list_turns(version),
        list_parameters(version),
        {"sluice.eval_set": eval_set, "sluice.model": model},
        f"v{version.version}, evaluated on {cases:,} cases",
    )


def is_mirrored(control: Control, prompt: str) -> bool:
    """Whether the registry shows what serves, as far as the control store knows.

    Raises:
        Fault: the control store cannot be reached.
    """
    serves = find_serving(control, prompt)
    return serves is None or control.watermarks.find(prompt, MIRROR).mark == f"v{serves}"


def note_mirrored(control: Control, prompt: str, version: int) -> None:
    """Store that the registry shows a version as the one that serves.

    Raises:
        Fault: the control store cannot be reached.
    """
    seen = control.watermarks.find(prompt, MIRROR)
    control.watermarks.move(seen, seen.settle(f"v{version}"))


def mirror_prompt(control: Control, prompt: str) -> str:
    """Let the registry show what serves, where it was away before; return what was done.

    A version that the registry lost is published again, if its file is what was evaluated.

    Raises:
        PromptInvalid: no evaluation of the version's file, as it is now, is known.
        Fault: the control store or the registry cannot be reached.
    """
    serves = find_serving(control, prompt)
    if serves is None or is_mirrored(control, prompt):
        return ""
    registry = open_registry(find_home())
    if serves not in registry.list_published(prompt):
        version = load_prompt(prompt).find_version(serves)
        records = read_evaluations(find_home().evaluations(prompt))
        record = find_latest(records, serves, version.identity)
        if record is None:
            raise PromptInvalid(
                f"{prompt} v{serves} serves, the registry does not have it, and no evaluation of "
                f"its file is known; next: sluice prompt publish {prompt} {serves}"
            )
        cases = max((item.cases for item in record.criteria.values()), default=0)
        registry.publish_prompt(describe_published(version, record.eval_set, record.model, cases))
    registry.mark_active(prompt, serves, CHAMPION)
    note_mirrored(control, prompt, serves)
    return f"the registry shows v{serves} as the one that serves"


def list_turns(version: PromptVersion) -> tuple[tuple[str, str], ...]:
    """Return a version's texts as the registry shows them, with `{{name}}` for a variable."""
    turns = [("system", version.system)] if version.system else []
    turns += [(turn.role, turn.content) for turn in version.messages]
    turns.append(("user", version.template))
    return tuple((role, _write_variables(text)) for role, text in turns)


def list_parameters(version: PromptVersion) -> dict[str, object]:
    """Return a version's model and parameters by the registry's names."""
    found: dict[str, object] = {"model_name": version.model, "max_tokens": version.max_tokens}
    return found if version.temperature is None else {**found, "temperature": version.temperature}


def _write_variables(text: str) -> str:
    return PLACEHOLDER.sub(
        lambda match: f"{{{{{match[2]}}}}}" if match[2] else f"{{{match[1]}}}", text
    )
