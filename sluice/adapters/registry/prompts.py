"""Published versions of prompts, mirrored in MLflow's prompt registry.

The files under `prompts/` are the truth and the control store says which version serves. The
registry shows both to people: each version once, with the hashes of what was evaluated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.store import MISSING, Store
from sluice.errors import PromptChanged, PromptInvalid

VERSION, IDENTITY = "sluice.version", "sluice.identity"
PAGE = 1000
NO_ALIAS = "INVALID_PARAMETER_VALUE"
"""Code of MLflow's error for an alias that no version has."""
SAME_NAME = "same name as an existing model"
"""Words of MLflow's error for a prompt that is named as a model."""


@dataclass(frozen=True)
class PublishedPrompt:
    """What the registry shows of a version.

    `turns` are (role, text) with `{{name}}` for each variable, as MLflow writes them. `identity` is
    the version's sha256, `parameters` the model and its parameters, `tags` further facts.
    """

    name: str
    version: int
    identity: str
    turns: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    message: str = ""


class Prompts:
    """The registry's prompts; the caller holds the prompt's lease while it publishes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def publish_prompt(self, prompt: PublishedPrompt) -> int:
        """Mirror a version, and return its number in the registry; a second call changes nothing.

        Raises:
            PromptChanged: the registry has this version with another content.
            PromptInvalid: a model of the registry has this name.
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"publishing {prompt.name} v{prompt.version}"):
            known = self._list_versions(prompt.name)
            for found in known:
                if found.tags.get(VERSION) != str(prompt.version):
                    continue
                if found.tags.get(IDENTITY) == prompt.identity:
                    return int(found.version)
                raise PromptChanged(
                    f"{prompt.name} v{prompt.version} was published as "
                    f"{found.tags.get(IDENTITY, '')[:12]} and is {prompt.identity[:12]} now; next: "
                    f"undo the change, or make a new version: sluice prompt new {prompt.name} "
                    f"--from {prompt.version}"
                )
            return self._create(prompt)

    def list_published(self, name: str) -> dict[int, str]:
        """Return the identity of each published version of a prompt.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"listing the published versions of {name}"):
            found = self._list_versions(name)
            ours = [item.tags for item in found if item.tags.get(VERSION, "").isdigit()]
            return {int(tags[VERSION]): tags.get(IDENTITY, "") for tags in ours}

    def mark_active(self, name: str, version: int, alias: str) -> None:
        """Move an alias, such as `champion`, to a published version; the store's route decides.

        Raises:
            LookupError: the version is not published.
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"marking {name} v{version} as {alias}"):
            for found in self._list_versions(name):
                if found.tags.get(VERSION) == str(version):
                    self._store.client().set_prompt_alias(name, alias, int(found.version))
                    return
            raise LookupError(f"{name} v{version} is not published")

    def find_marked(self, name: str, alias: str) -> int | None:
        """Return the published version that has an alias; None where none has it.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        from mlflow.exceptions import MlflowException

        with translate_faults(f"looking for the {alias} of {name}"):
            try:
                found = self._store.client().get_prompt_version_by_alias(name, alias)
            except MlflowException as error:
                if error.error_code in (MISSING, NO_ALIAS):
                    return None
                raise
            number = found.tags.get(VERSION, "") if found else ""
            return int(number) if number.isdigit() else None

    def unmark(self, name: str, alias: str) -> None:
        """Remove an alias from the version that has it.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"removing the alias {alias} of {name}"):
            self._store.client().delete_prompt_alias(name, alias)

    def _create(self, prompt: PublishedPrompt) -> int:
        from mlflow.exceptions import MlflowException

        try:
            made = self._store.client().register_prompt(
                prompt.name,
                [{"role": role, "content": text} for role, text in prompt.turns],
                commit_message=prompt.message or None,
                tags={**prompt.tags, VERSION: str(prompt.version), IDENTITY: prompt.identity},
                model_config=dict(prompt.parameters),
            )
        except MlflowException as error:
            if SAME_NAME not in str(error):
                raise
            raise PromptInvalid(
                f"prompt '{prompt.name}': a model of the registry has this name; allowed: a name "
                "that no service has; next: rename the prompt's folder and its `name`"
            ) from error
        return int(made.version)

    def _list_versions(self, name: str) -> list[Any]:
        from mlflow.exceptions import MlflowException

        client, found, token = self._store.client(), [], None
        try:
            if client.get_prompt(name) is None:
                return []
            while True:
                page = client.search_prompt_versions(name, PAGE, token)
                found += list(page)
                token = getattr(page, "token", None)
                if not token:
                    return found
        except MlflowException as error:
            if error.error_code == MISSING:
                return []
            raise
