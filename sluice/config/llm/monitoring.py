"""What is watched of a prompt: its rules of monitoring, its budgets and its sampled answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.config.llm.files import SERVING
from sluice.config.llm.loading import load_language_serving
from sluice.config.llm.serving import BudgetsConfig, PromptMonitoringConfig
from sluice.config.loading import check_changes, load_rules
from sluice.config.yaml_file import find_shared
from sluice.home import CONFIGS

if TYPE_CHECKING:
    from sluice.monitoring.rules import ActiveRule

PROMPTS = "prompts"
"""The audience of the rules that are judged for prompts."""


@dataclass(frozen=True)
class WatchedPrompt:
    """A prompt with the settings by which it is monitored."""

    service: str
    monitoring: PromptMonitoringConfig
    budgets: BudgetsConfig


def load_watched(name: str, folder: Path = CONFIGS) -> WatchedPrompt:
    """Return a prompt with its settings; one that has none of its own has the defaults.

    Raises:
        ConfigInvalid: the file of settings is not valid.
    """
    live = load_language_serving(folder).of(name)
    return WatchedPrompt(name, live.monitoring, live.budgets)


def find_prompt_rules(prompt: WatchedPrompt, folder: Path = CONFIGS) -> "dict[str, ActiveRule]":
    """Return the rules that are judged for a prompt, with its own changes and its limits.

    The commands in their runbooks name the prompt.

    Raises:
        ConfigInvalid: the rules are not valid, or the prompt changes one in a way that is not.
    """
    from sluice.monitoring.rules import list_active

    book, path = load_rules(folder), find_shared(SERVING, folder)
    config, name = prompt.monitoring, prompt.service
    own = load_language_serving(folder).services.get(name)
    is_own = own is not None and "monitoring" in own.model_fields_set
    place = ("services", name) if is_own else ("defaults",)
    check_changes(config, book, path, (*place, "monitoring"), folder)
    named = {key: rule.name_service(name) for key, rule in book.rules.items()}
    return list_active(book.model_copy(update={"rules": named}), config, PROMPTS)
