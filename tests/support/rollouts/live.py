"""Live rollouts in tests: real registry and store, controllers in this or another process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.adapters.control.rollouts import CONTROLLER, Opening, Tick
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.config.loading import load_policy, load_service
from sluice.config.rollout import RolloutConfig, RouteConfig
from sluice.control.lease import Lease
from sluice.home import PROJECT, Home
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, derive, write_step
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Command, write_state
from sluice.rollout.state_machine import step
from support.releases.runs import write_rollout
from support.releases.verdicts import PASSED
from support.rollouts.beside import WAIT_SECONDS, await_rollout
from support.servers.images import add_registry_database

FLOWS = ("rollout", "rollout_control", "rollback", "restore")
POLICY = """
policy: quick
block: 0.2 s
history: 0.4 s
pass_alpha: 0.05
rules:
  error_margin: {margin: 0.05}
stages:
  - {name: shadow, weight: 0.0, min: 0.6 s, max: 60 s, passes: [error_margin, disagreement]}
  - {name: canary, weight: 0.25, min: 0.6 s, max: 60 s, passes: [error_margin]}
  - {name: half, weight: 0.50, min: 0.6 s, max: 60 s, passes: [error_margin]}
soak: 0.6 s
"""
TOWNS = """
policy: towns
block: 0.5 s
history: 1 s
pass_alpha: 0.05
rules:
  error_margin: {margin: 0.2}
  error_rate: {margin: 0.3, alpha: 0.001}
  latency_double: {ratio: 100.0}
  latency_margin: {ratio: 10.0, min_effect_ms: 1000}
stages:
  - {name: shadow, weight: 0.0, min: 2 s, max: 300 s, passes: [error_margin, disagreement]}
  - {name: canary, weight: 0.25, min: 1 s, max: 300 s, passes: [error_margin], approve: true}
soak: 1 s
"""
"""For real requests; the canary waits for a person's approval."""
ROUTE_TTL, LEASE_TTL = 3.0, 1.5
LAUNCH = """
import json, sys
import tasks.run.leases
import sluice.adapters.registry.client, mlflow, sluice.rollout.simulation
from flows.rollout import rollout
tasks.run.leases.TTL_SECONDS = float(sys.argv[1])
print("ready", flush=True)
state = rollout(**json.loads(sys.stdin.readline()), return_state=True)
print(json.dumps([state.name, state.message]), flush=True)
"""


def route_config(**changes: Any) -> RouteConfig:
    return RouteConfig(**{"assign_by": "request", "lease_ttl": ROUTE_TTL, **changes})


def serve_first(home: Home, registry: Registry, service: str) -> Control:
    """Return the control store, with v1 as champion there and in the registry."""
    control = prepare_control(home)
    registry.store.set_alias(service, "champion", 1)
    control.routes.follow_champion(service, 1)
    return control


@dataclass(frozen=True)
class Live:
    """One service with versions that passed their gates, and how a test uses its rollouts."""

    home: Home
    service: str
    policy: str
    control: Control
    registry: Registry

    def reset(self, candidate: int = 2) -> None:
        """Make v1 champion and another version candidate, with no rollout under way."""
        assert self.control.rollouts.find_open(self.service) is None
        self.registry.store.set_alias(self.service, "champion", 1)
        self.registry.store.set_alias(self.service, "candidate", candidate)
        self.registry.drop_previous(self.service, 1)
        self.control.routes.follow_champion(self.service, 1)

    def roll(self, **given: Any) -> Any:
        from flows.rollout import rollout

        return rollout(self.service, **{"policy": self.policy, **given}, return_state=True)

    def steer(self, action: str, reason: str = "a test") -> Any:
        from flows.rollout_control import rollout_control

        given = {"action": action, "reason": reason, "by": "Ada"}
        return rollout_control(self.service, **given, return_state=True)

    def give(self, action: str) -> int:
        """Give the rollout a command without waiting for the answer; return its number."""
        now = datetime.now(UTC)
        return self.control.commands.give(self.service, action, "Ada", "a test", now).sequence

    def answer(self, sequence: int) -> tuple[str, str]:
        found = self.control.commands.find(sequence)
        assert found is not None
        return found.answer, found.message

    def aliases(self) -> dict[str, int]:
        names = ("champion", "candidate", "previous")
        found = {name: self.registry.find_alias(self.service, name) for name in names}
        return {name: item.version for name, item in found.items() if item}

    def read_log(self, number: int = 0) -> list[dict[str, Any]]:
        """Return a rollout's records; of the last rollout if none is named."""
        chosen = number or self.control.rollouts.list_rollouts(self.service)[-1].number
        return [record for _, record in self.control.rollouts.read_log(self.service, chosen)]

    def check_log(self, number: int = 0) -> list[dict[str, Any]]:
        """Check that no tick is missing or twice, and that the log alone gives every decision."""
        records = self.read_log(number)
        assert [record["tick"] for record in records] == list(range(len(records)))
        assert len(list(derive(records, load_policy(self.policy)))) == len(records) - 1
        return records

    def find_rollout(self) -> RolloutRecord | None:
        return self.control.rollouts.find_open(self.service)

    def keep(self) -> tuple[Any, ...]:
        """Return everything that a controller may change: tick, state, log and route."""
        rollout = self.find_rollout()
        assert rollout is not None
        route = self.control.routes.find(self.service)
        state = write_state(rollout.state)
        return rollout.tick, state, len(self.read_log(rollout.number)), route

    def await_rollout(self, question: Callable[[RolloutRecord], object]) -> RolloutRecord:
        """Wait until the question is true of the rollout under way."""
        return await_rollout(self.find_rollout, question)

    def await_phase(self, phase: str) -> RolloutRecord:
        return self.await_rollout(lambda rollout: rollout.state.phase.value == phase)

    def await_ticks(self, count: int) -> RolloutRecord:
        """Wait until so many more ticks are written."""
        first = self.await_rollout(lambda _: True).tick
        return self.await_rollout(lambda rollout: rollout.tick >= first + count)

    def newest_page(self) -> str:
        """Return the rollout's page as published last; empty if there is none."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
        from prefect.client.schemas.sorting import ArtifactSort

        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[f"{self.service}-rollout"]))
        with get_client(sync_client=True) as client:
            order = ArtifactSort.CREATED_DESC
            found = client.read_artifacts(artifact_filter=wanted, sort=order, limit=1)
        return str(found[0].data).replace("<br>", " ") if found else ""

    def await_page(self, words: str) -> str:
        """Wait until the page has the words; return it."""
        deadline = time.monotonic() + WAIT_SECONDS
        while words not in (page := self.newest_page()):
            assert time.monotonic() < deadline, page
            time.sleep(0.3)
        return page

    def begin(self, candidate: int = 2) -> tuple[Lease, RolloutRecord]:
        """Open a rollout whose controller is the test."""
        lease = self.control.leases.acquire(self.service, CONTROLLER, "a test", 1.0)
        policy = load_policy(self.policy)
        opening = Opening(self.service, 1, candidate, policy, route_config(), "salt")
        return lease, self.control.rollouts.open(lease, opening, datetime.now(UTC))

    def advance(
        self, lease: Lease, rollout: RolloutRecord, facts: Facts | None = None, command: Any = None
    ) -> RolloutRecord:
        """Write one tick as the controller would."""
        facts = facts or Facts(epoch=rollout.state.epoch)
        given = Command(command, "Ada", "a test") if command else None
        state, decision = step(rollout.state, facts, given, rollout.policy)
        record = write_step(rollout.tick, facts, given, Derived(state, decision), rollout.policy)
        tick = Tick(replace(rollout, state=state), record, decision)
        return self.control.rollouts.write(lease, rollout, tick, datetime.now(UTC))

    def await_lapse(self) -> None:
        """Wait until the controller has not renewed its lease for the lease's ttl."""
        from tasks.rollout.lease import is_controlled

        while is_controlled(self.control, self.service):
            time.sleep(0.1)


@contextmanager
def run_live(
    root: Path, service: str, text: str = POLICY, versions: int = 2, **rollout: Any
) -> Iterator[Live]:
    """Set up a service in its own state folder, which flows in this process use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        terms = {"route": route_config(), **rollout}
        config = load_service("employment", "development").model_copy(
            update={"service": service, "rollout": RolloutConfig(**terms)}
        )
        for flow in FLOWS:
            patch.setattr(f"flows.{flow}.load_rollout", lambda *_: config)
        patch.setattr("flows.promote.load_service", lambda *_: config)
        policy = root / f"{text.split()[1]}.yaml"
        policy.write_text(text.lstrip(), encoding="utf-8")
        assert load_policy(str(policy)).stages
        home = add_registry_database(Home(root))
        control, registry = prepare_control(home), open_registry(home)
        registry.prepare()
        register_versions(registry, service, versions)
        yield Live(home, service, str(policy), control, registry)


def register_versions(registry: Registry, service: str, count: int) -> None:
    """Register so many versions that passed their gates; v1 is champion."""
    for _ in range(count):
        register_version(registry, service)


def register_version(
    registry: Registry, service: str, tags: Mapping[str, str] = PASSED
) -> ModelVersionRef:
    """Register a version with these tags; the first one of a service is champion."""
    from sklearn.linear_model import LogisticRegression

    rows = pd.DataFrame({"age": np.arange(40)})
    pipeline = LogisticRegression().fit(rows, rows["age"] > 20)
    run = registry.start_run(service, "a release", {})
    answers = pipeline.predict(rows.head(2))
    return registry.register_model(run, service, pipeline, rows.head(2), answers, tags)


class Apart:
    """A controller in its own process, which waits until `begin`."""

    def __init__(self, live: Live) -> None:
        self._live = live
        configs = live.home.root / "configs"
        if not configs.exists():
            write_rollout(configs, live.service, route=route_config().model_dump())
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(LEASE_TTL)],
            cwd=PROJECT,
            env={**os.environ, "SLUICE_CONFIGS": str(configs)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, **given: Any) -> None:
        """Start the rollout."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        parameters = {"service": self._live.service, "policy": self._live.policy, **given}
        self.process.stdin.write(json.dumps(parameters) + "\n")
        self.process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> tuple[str, str]:
        """Wait for its end; return the name and message of its state."""
        output, _ = self.process.communicate(timeout=WAIT_SECONDS)
        name, message = json.loads(output.splitlines()[-1])
        return name, message


@contextmanager
def watch_routes(live: Live) -> Iterator[set[tuple[int, float]]]:
    """Collect every epoch and weight of the route while the block runs."""
    seen: set[tuple[int, float]] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            route = live.control.routes.find(live.service)
            if route:
                seen.add((route.epoch, route.weight))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
