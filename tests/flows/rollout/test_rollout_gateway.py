"""Rollouts through a real gateway: its processes, its counters, its breaker, real requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.loading import load_service
from sluice.config.rollout import RolloutConfig, RouteConfig
from sluice.rollout.log import derive
from support.gateway.callers import run_load
from support.gateway.faulty import write_faulty
from support.gateway.models import write_towns
from support.gateway.site import Running, Site, run_gateway
from support.rollouts.live import register_versions
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow

POLICY = """
policy: towns
block: 0.5 s
history: 3 s
pass_alpha: 0.05
rules:
  error_margin: {margin: 0.2}
  error_rate: {margin: 0.3, alpha: 0.001}
  latency_double: {ratio: 100.0}
  latency_margin: {ratio: 10.0, min_effect_ms: 1000}
stages:
  - {name: shadow, weight: 0.0, min: 1 s, max: 120 s, passes: [error_margin, disagreement]}
  - {name: canary, weight: 0.25, min: 1 s, max: 120 s, passes: [error_margin]}
  - {name: half, weight: 0.50, min: 1 s, max: 120 s, passes: [error_margin]}
soak: 1 s
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towns(tmp_path_factory.mktemp("towns")).folder


@pytest.fixture(scope="module")
def site(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        site = Site(tmp_path_factory.mktemp("live"))
        patch.setenv("SLUICE_HOME", str(site.home.root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr("tasks.rollout.opening.WATCH_SECONDS", 3.0)
        config = load_service("employment", "development")
        rollout = RolloutConfig(route=RouteConfig(assign_by="request"))
        patch.setattr(
            "flows.rollout.load_rollout",
            lambda name: config.model_copy(update={"service": name, "rollout": rollout}),
        )
        yield site


@pytest.fixture(scope="module")
def gateway(site: Site) -> Iterator[Running]:
    with run_gateway(site) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_GATEWAY_URLS", running.address)
        yield running


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("policies") / "towns.yaml"
    file.write_text(POLICY.lstrip())
    return str(file)


def register_two(site: Site, service: str) -> Registry:
    """Register two versions: v1 is the champion, v2 the candidate."""
    registry = open_registry(add_registry_database(site.home))
    registry.prepare()
    register_versions(registry, service, 2)
    return registry


def roll(gateway: Running, service: str, policy: str) -> tuple[Any, set[int]]:
    """Roll out under real requests; return the run's state and the callers' answers."""
    from flows.rollout import rollout

    with run_load([gateway.port], service, callers=4, pause=0.01) as load:
        state = rollout(service, policy=policy, return_state=True)
    return state, load.statuses


def test_a_candidate_that_equals_the_champion_serves_in_the_end(
    site: Site, gateway: Running, model: Path, policy: str
) -> None:
    site.serve("equal", model)
    registry = register_two(site, "equal")
    gateway.await_champion("equal")
    state, statuses = roll(gateway, "equal", policy)
    assert state.is_completed(), state.message
    assert statuses == {200}
    champion = registry.find_alias("equal", "champion")
    assert champion is not None
    assert champion.version == 2
    route = site.control.routes.find("equal")
    assert route is not None
    assert (route.champion, route.candidate) == (2, None)
    records = [record for _, record in site.control.rollouts.read_log("equal", 1)]
    assert list(derive(records, site.control.rollouts.list_rollouts("equal")[0].policy))


def test_a_candidate_that_answers_nan_is_rolled_back_and_no_caller_notices(
    site: Site, gateway: Running, model: Path, policy: str, tmp_path: Path
) -> None:
    site.serve("fails", model, write_faulty(model, tmp_path / "faulty", "nan"))
    registry = register_two(site, "fails")
    gateway.await_champion("fails")
    state, statuses = roll(gateway, "fails", policy)
    assert state.message.startswith("RolloutRolledBack: ")
    assert statuses == {200}
    assert registry.find_alias("fails", "candidate") is None
    route = site.control.routes.find("fails")
    assert route is not None
    assert (route.champion, route.candidate) == (1, None)
