"""Published versions of prompts in a worker's memory, loaded as routes name them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.errors import SluiceError

if TYPE_CHECKING:  # a gateway of models imports none of it
    from sluice.prompts.published import SmokeQuestion
    from sluice.prompts.version import PromptVersion

RETRY_SECONDS = 5.0
"""Pause before a version that could not be read is tried again."""
SPARE_PROMPTS = 8
"""Versions that stay loaded beside those that routes name, for a rollback."""
LOG = logging.getLogger("sluice.gateway")
PromptKey = tuple[str, int]
"""A prompt and a version."""


@dataclass(frozen=True, eq=False)
class LoadedPrompt:
    """A published version in memory; it never changes."""

    prompt: "PromptVersion"
    identity: str
    question: "SmokeQuestion"
    """What its smoke test asks."""

    @property
    def version(self) -> int:
        """Its number."""
        return self.prompt.version

    @property
    def backend_name(self) -> str:
        """What answers: a language model."""
        return "prompt"

    @property
    def backend_reason(self) -> str:
        """Nothing: there is no other way to answer."""
        return ""


class LoadedPrompts:
    """One worker's prompts; used from the event loop, they are read in a thread.

    `find_folder` returns the folder of a prompt's published versions. `prepare` is awaited before
    the first version counts as loaded, so that its first caller does not wait for an import.
    """

    def __init__(
        self, find_folder: Callable[[str], Path], prepare: Callable[[], Awaitable[object]]
    ) -> None:
        self._find_folder, self._prepare = find_folder, prepare
        self._loaded: dict[PromptKey, LoadedPrompt] = {}
        self._later: dict[PromptKey, float] = {}
        self._reasons: dict[PromptKey, str] = {}

    def champion(self, service: str, version: int) -> LoadedPrompt | None:
        """Return a version as the champion; None until it is loaded."""
        return self._loaded.get((service, version))

    def candidate(self, service: str, version: int) -> LoadedPrompt | None:
        """Return a version as the candidate; None until it is loaded."""
        return self._loaded.get((service, version))

    def is_tried(self, service: str, version: int) -> bool:
        """Whether a version is loaded, or it is known why it cannot be now."""
        key = (service, version)
        return key in self._loaded or key in self._reasons

    def explain_missing(self, service: str, version: int) -> str:
        """Return why a version is not loaded."""
        return self._reasons.get((service, version), f"v{version} is not loaded yet")

    async def load(self, named: Collection[PromptKey], now: float) -> bool:
        """Load the missing ones of these; return whether any was loaded."""
        missing = [
            key for key in named if key not in self._loaded and now >= self._later.get(key, now)
        ]
        for key in missing:
            try:
                await self._prepare()
                self._loaded[key] = await asyncio.to_thread(_read, self._find_folder, key)
            except Exception as error:  # whatever it is, models and other prompts go on
                self._later[key] = now + RETRY_SECONDS
                own = isinstance(error, SluiceError)
                self._note(key, str(error) if own else f"{type(error).__name__}: {error}")
            else:
                self._later.pop(key, None)
                self._reasons.pop(key, None)
                identity = self._loaded[key].identity[:12]
                LOG.info("%s v%d is loaded, identity %s", *key, identity)
        self._drop(named)
        return bool(missing) and any(key in self._loaded for key in missing)

    def _note(self, key: PromptKey, reason: str) -> None:
        """Log a reason once while it lasts."""
        if self._reasons.get(key) != reason:
            LOG.error("%s v%d was not loaded: %s", *key, reason)
        self._reasons[key] = reason

    def _drop(self, named: Collection[PromptKey]) -> None:
        """Forget the versions that were not named for longest."""
        for key in [key for key in self._loaded if key in named]:
            self._loaded[key] = self._loaded.pop(key)
        spare = [key for key in self._loaded if key not in named]
        for key in spare[: max(0, len(spare) - SPARE_PROMPTS)]:
            del self._loaded[key]


def _read(find_folder: Callable[[str], Path], key: PromptKey) -> LoadedPrompt:
    from sluice.prompts.published import read_published, read_question

    folder = find_folder(key[0])
    version = read_published(folder, *key)
    return LoadedPrompt(version, version.identity, read_question(folder, version))
