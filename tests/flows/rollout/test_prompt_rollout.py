"""Rollouts of a prompt's versions: flow, real gateway, provider over HTTP, real requests."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.rollout import PromptRolloutConfig, PromptRouteConfig
from sluice.control.command import Author
from sluice.rollout.log import derive
from sluice.rollout.state import Phase
from support.gateway.callers import ask_prompt, run_load
from support.gateway.site import Running, wait_until
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.live import PromptSite, run_prompts
from support.llm.provider import FakeProvider, run_provider
from support.rollouts.prompts import publish_two, write_policy
from support.servers.images import add_registry_database
from tasks.rollout.settings import PromptRollout

pytestmark = pytest.mark.slow
GOOD = FakeAnswer(input_tokens=50, output_tokens=7)
LEAKS = FakeAnswer("Ask ann.smith@example.org.", input_tokens=50, output_tokens=7)
DEAR = FakeAnswer(input_tokens=500, output_tokens=60)
"""By the prices of the two models, 3.5 times what the champion's answer costs."""
ROUTE = PromptRouteConfig(assign_by="request", arm_timeout_ms=5000.0)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def site(
    api: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PromptSite]:
    rules = {"guardrails": {"output": {"pii": "mask"}}}
    with pytest.MonkeyPatch.context() as patch:
        site = PromptSite(tmp_path_factory.mktemp("live"), provider, serving={"defaults": rules})
        patch.setenv("SLUICE_HOME", str(site.home.root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr("tasks.rollout.opening.WATCH_SECONDS", 3.0)
        settings = PromptRolloutConfig(route=ROUTE)
        patch.setattr("flows.rollout.load_rollout", lambda name: PromptRollout(name, settings))
        yield site


@pytest.fixture(scope="module")
def registry(site: PromptSite) -> Registry:
    registry = open_registry(add_registry_database(site.home))
    registry.prepare()
    return registry


@pytest.fixture(scope="module")
def gateway(site: PromptSite) -> Iterator[Running]:
    with run_prompts(site) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_GATEWAY_URLS", running.address)
        yield running


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_policy(tmp_path_factory.mktemp("policies"))


def answer_by_arm(candidate: FakeAnswer) -> Any:
    """The candidate's model is the one of the other dialect."""

    def answer(asked: AskedRequest) -> FakeAnswer:
        return candidate if asked.dialect == "openai" else GOOD

    return answer


def roll(gateway: Running, service: str, policy: str) -> tuple[Any, set[int]]:
    """Roll v2 out under real requests; return the run's state and the callers' answers."""
    from flows.rollout import rollout

    with run_load([gateway.port], service, callers=4, pause=0.01, make=ask_prompt) as load:
        state = rollout(service, policy=policy, return_state=True)
    return state, load.statuses


def test_a_version_that_equals_the_champion_serves_in_the_end(
    site: PromptSite, registry: Registry, gateway: Running, provider: FakeProvider, policy: str
) -> None:
    versions = publish_two(site, registry, "equal")
    provider.reset(answer_by_arm(GOOD))
    gateway.await_champion("equal")
    state, statuses = roll(gateway, "equal", policy)
    assert state.is_completed(), state.message
    assert statuses == {200}
    route = site.control.routes.find("equal")
    assert route is not None
    assert (route.champion, route.candidate, route.kind) == (2, None, "prompt")
    found = {name: versions.find_alias(name) for name in ("champion", "candidate", "previous")}
    numbers = {name: item and item.version for name, item in found.items()}
    assert numbers == {"champion": 2, "candidate": None, "previous": 1}
    [record] = site.control.rollouts.list_rollouts("equal")
    log = [item for _, item in site.control.rollouts.read_log("equal", 1)]
    assert list(derive(log, record.policy))
    compared = sum(item["facts"]["candidate"]["compared"] for item in log[2:] if has_arm(item))
    assert compared > 0, "in shadow the prompt's own scorers compared the answers"
    smoke = [item.question for item in provider.asked if item.question == "Greet text."]
    assert len(smoke) >= len(record.policy.stages), "the fixed question, before each weight"


def has_arm(record: dict[str, Any]) -> bool:
    return bool(record["facts"]["candidate"])


def test_a_version_that_leaks_an_address_is_rolled_back_and_no_caller_reads_it(
    site: PromptSite, registry: Registry, gateway: Running, provider: FakeProvider, policy: str
) -> None:
    versions = publish_two(site, registry, "leaks")
    provider.reset(answer_by_arm(LEAKS))
    gateway.await_champion("leaks")
    state, statuses = roll(gateway, "leaks", policy)
    assert state.message.startswith("RolloutRolledBack: guardrail: "), state.message
    assert statuses == {200}
    assert versions.find_alias("candidate") is None
    route = site.control.routes.find("leaks")
    assert route is not None
    assert (route.champion, route.candidate) == (1, None)


def test_a_version_three_times_as_dear_pauses_and_a_person_takes_it_back(
    site: PromptSite, registry: Registry, gateway: Running, provider: FakeProvider, tmp_path: Path
) -> None:
    from tasks.rollout.actions import restore, roll_back

    policy = write_policy(tmp_path, "slowly", least=30)
    publish_two(site, registry, "dear")
    provider.reset(answer_by_arm(DEAR))
    gateway.await_champion("dear")
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(roll(gateway, "dear", policy)))
    thread.start()

    def is_paused() -> bool:
        found = site.control.rollouts.find_open("dear")
        return found is not None and found.state.phase is Phase.PAUSED

    try:
        wait_until(is_paused, 120)
        reason = site.control.rollouts.list_rollouts("dear")[0].state.reason
        assert reason == "cost: beyond its limit; a person decides"
    finally:
        ada = Author("Ada", "three times the cost", "a test")
        roll_back(site.control, "dear", ada, lambda _: None)
        thread.join(60)
    [(state, statuses)] = ended
    assert "Ada: three times the cost" in state.message
    assert statuses == {200}
    done = restore(site.control, "dear", 2, Author("Ada", "it is worth it", "a test"))
    assert done.message == "v2 is champion"
    gateway.await_champion("dear", 2)


def test_versions_that_cannot_be_rolled_out_are_refused_by_name(
    site: PromptSite, registry: Registry, policy: str
) -> None:
    from flows.rollout import rollout

    publish_two(site, registry, "refused", has_candidate=False)
    for version, words in ((-1, "refused has no candidate"), (1, "champion already"), (9, "no v9")):
        state: Any = rollout("refused", version, policy, return_state=True)
        assert state.message.startswith("RolloutRefused: ")
        assert words in state.message


def test_without_traffic_it_holds_and_passes_nothing(
    site: PromptSite, registry: Registry, gateway: Running, tmp_path: Path
) -> None:
    from flows.rollout import rollout
    from tasks.rollout.actions import command_rollout

    publish_two(site, registry, "silent")
    gateway.await_champion("silent")
    ended: list[Any] = []
    brief = write_policy(tmp_path, "brief", longest=2)
    thread = threading.Thread(
        target=lambda: ended.append(rollout("silent", policy=brief, return_state=True))
    )
    thread.start()

    def holds() -> bool:
        found = site.control.rollouts.find_open("silent")
        return found is not None and found.state.phase is Phase.HOLDING

    try:
        wait_until(holds, 60)
    finally:
        ada = Author("Ada", "no traffic", "a test")
        command_rollout(site.control, "silent", "abort", ada, lambda _: None)
        thread.join(60)
    assert ended[0].result().phase == "aborted"
