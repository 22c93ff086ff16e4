"""Two replicas whose state folders are their own: what one control store alone holds together."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import pytest

from sluice.control.spending import BILLION, Account, name_period
from support.gateway.site import CallerReply, Running
from support.llm.answers import FakeAnswer
from support.llm.live import PromptSite, run_prompts
from support.llm.provider import FakeProvider

LIMIT = 0.002
SHARED = {"shared": {"budgets": {"service": {"day": LIMIT}}}}
"""As in the settings of the first replica."""


@pytest.fixture
def second(tmp_path: Path, prompts: Running, shared_provider: FakeProvider) -> Iterator[Running]:
    """A replica with a copy of the published versions, on the control store of the first."""
    site = PromptSite(tmp_path, shared_provider, serving={"services": SHARED})
    publish_moved(prompts, 1)
    copytree(prompts.site.home.root / "prompts", site.home.root / "prompts")
    with run_prompts(site, SLUICE_CONTROL_URL=prompts.site.home.control_url) as running:
        running.await_champion("shared")
        running.await_champion("moved")
        yield running


@pytest.mark.slow
def test_budgets_and_routes_hold_without_a_common_state_folder(
    prompts: Running, second: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer(seconds=0.02))
    both = [prompts, second] * 40

    def ask(running: Running) -> int:
        return running.ask("/v1/prompts/shared", {"variables": "Ada"}).status

    assert ask(prompts) == ask(second) == 200
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, both))
    assert set(statuses) == {200, 429}
    assert statuses[::2].count(429) > 0
    assert statuses[1::2].count(429) > 0
    day = name_period("day", datetime.now(UTC))
    spent = prompts.site.control.spending.find(Account("service", "shared", day))
    assert spent.spent <= LIMIT * BILLION
    assert (spent.reserved, spent.calls) == (0, 2 + statuses.count(200))

    publish_moved(prompts, 2)
    prompts.site.route("moved", champion=2)
    prompts.await_champion("moved", 2)
    assert ask_moved(second).json["version"] == 1  # it serves what it has
    copytree(
        prompts.site.home.published_prompts("moved"),
        second.site.home.published_prompts("moved"),
        dirs_exist_ok=True,
    )
    second.await_champion("moved", 2)
    assert ask_moved(second).json["version"] == 2


def publish_moved(running: Running, version: int) -> None:
    assert isinstance(running.site, PromptSite)
    running.site.publish("moved", version)


def ask_moved(running: Running) -> CallerReply:
    return running.ask("/v1/prompts/moved", {"variables": "Ada"})
