"""A change of data that ends in a rollout: each step starts the next by its event."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.home import Home
from sluice.rollout.log import derive
from support.gateway.replica import TrafficReplica
from support.releases.runs import ingest_year, write_rollout
from support.rollouts.live import POLICY, route_config
from support.servers.receiver import Receiver, run_receiver
from support.servers.stack import (
    FILE,
    await_answer,
    deploy,
    find_deployments,
    find_runs,
    remove_all,
    run_worker,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated"),  # Apprise imports it
]

SERVICE = "employment"
SECONDS = 400.0
RECEIVE_SECONDS = 60.0
NOTIFICATION = """
notifications:
  - name: anyone
    kind: webhook
    url: {env: ANYONE_URL}
    format: json
    events: [rollout.*, run.failed]
"""
EVENTS = {
    "rollout.requested": 1,
    "rollout.started": 1,
    "rollout.advanced": 3,
    "rollout.promoted": 1,
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def file(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shipped deployments, and a receiver of every event of a rollout."""
    file = tmp_path_factory.mktemp("told") / "deployments.yaml"
    file.write_text(FILE.read_text(encoding="utf-8") + NOTIFICATION, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANYONE_URL", receiver.url("anyone"))
        yield file


@pytest.fixture(scope="module")
def replica(
    stocked: Home, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrafficReplica]:
    """A replica beside the shipped deployments, and a worker for the runs that events start."""
    root = tmp_path_factory.mktemp("auto")
    policy = root / "quick.yaml"
    policy.write_text(POLICY.lstrip(), encoding="utf-8")
    terms = {"policy": str(policy), "start": "auto", "route": route_config().model_dump()}
    write_rollout(root / "configs", SERVICE, **terms)
    with TrafficReplica(open_control(stocked), SERVICE) as replica:
        variables = {
            "SLUICE_HOME": str(stocked.root),
            "SLUICE_CONFIGS": str(root / "configs"),
            "SLUICE_GATEWAY_URLS": replica.address,
        }
        try:
            deploy(file)
            with run_worker(root / "worker.log", **variables):
                yield replica
        finally:
            remove_all()


def test_new_data_is_released_and_its_candidate_rolled_out_by_events_alone(
    stocked: Home, replica: TrafficReplica, receiver: Receiver
) -> None:
    control = open_control(stocked)
    assert ingest_year(2017).is_completed()
    done = await_answer(
        lambda: [item for item in control.rollouts.list_rollouts(SERVICE) if item.settled], SECONDS
    )
    [rollout] = done
    assert (rollout.champion, rollout.candidate, rollout.state.phase.value) == (1, 2, "done")
    champion = open_registry(stocked).find_alias(SERVICE, "champion")
    assert champion is not None
    assert champion.version == 2
    records = [record for _, record in control.rollouts.read_log(SERVICE, rollout.number)]
    assert len(list(derive(records, rollout.policy))) == len(records) - 1
    runs = find_runs(find_deployments()["rollout/rollout"])
    assert {run.parameters["version"] for run in runs} == {2}
    assert set(replica.weights) <= {0.0, 0.25, 0.5}
    wanted = sum(EVENTS.values())
    await_answer(lambda: len(read_received(receiver)) >= wanted, RECEIVE_SECONDS)
    received = read_received(receiver)  # in any order: the server sends several at once
    events = [item["event"] for item in received]
    assert {event: events.count(event) for event in set(events)} == EVENTS
    assert {item["version"] for item in received} == {2}


def read_received(receiver: Receiver) -> list[dict[str, Any]]:
    """Return the notifications about the service that the receiver got."""
    found = [json.loads(item["text"]) for item in receiver.of("anyone")]
    return [item for item in found if item["service"] == SERVICE]
