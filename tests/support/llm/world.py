"""A prompt in a state folder of its own, released by the flow in this process; for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.control.cause import PROMPT_CHANGED
from sluice.home import Home
from support.llm.asking import KEY_VARIABLE
from support.llm.provider import KEY, FakeProvider
from support.prompts import (
    let_settle,
    use_prompts,
    wish_version,
    write_small_prompt,
    write_small_providers,
)
from support.releases.sources import events_of
from support.servers.images import use_home


@dataclass
class PromptWorld:
    """A state folder and a prompt of its own, and a provider that may be shared."""

    api: str
    home: Home
    folder: Path
    provider: FakeProvider
    control: Control

    def watch(self) -> Any:
        from flows.watch import watch

        let_settle(self.folder.parent)
        return watch(return_state=True)

    def release(self, version: int, cause: str = PROMPT_CHANGED, publish: bool = True) -> Any:
        from flows.prompts.release_prompt import release_prompt

        return release_prompt(self.name, version, publish, cause, return_state=True)

    def wish(self, version: int) -> None:
        wish_version(self.folder, version)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [item["payload"] for item in events_of(self.api, self.name, event)]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def active(self) -> int | None:
        route = self.control.routes.find(self.name)
        return route.champion if route else None


@contextmanager
def open_small_world(
    api: str, provider: FakeProvider, root: Path, patch: pytest.MonkeyPatch, cases: int = 60
) -> Iterator[PromptWorld]:
    """Write the small prompt, under a name that no other test has, into a new state folder."""
    name = f"sort-{uuid4().hex[:8]}"  # its events are no other test's
    folder = write_small_prompt(root / "prompts", cases, name)
    write_small_providers(root / "configs", provider.url)
    with open_world(api, provider, folder, patch) as world:
        yield world


@contextmanager
def open_world(
    api: str, provider: FakeProvider, folder: Path, patch: pytest.MonkeyPatch
) -> Iterator[PromptWorld]:
    """Let this process's flows see the prompt of a folder, and the configurations beside it."""
    root = folder.parent.parent
    from sluice.config.loading import list_services

    patch.setattr(list_services, "__defaults__", (root / "configs",))
    use_prompts(root / "prompts", root / "configs", patch)
    patch.setenv(KEY_VARIABLE, KEY)
    with use_home(root / "home") as home:
        yield PromptWorld(api, home, folder, provider, prepare_control(home))
