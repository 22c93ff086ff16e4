"""Whole rollouts through the real flow, store, registry and server, on counts over real HTTP."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.page.reading import StoreReader
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.loading import load_policy, load_service
from sluice.config.rollout import RolloutConfig, RouteConfig
from sluice.config.service import ServiceConfig
from sluice.home import Home
from sluice.rollout.log import derive
from sluice.rollout.record import RolloutRecord
from support.gateway.replica import TrafficReplica
from support.lineage.receiver import Receiver, check_required, read_event, receive_events
from support.rollouts.beside import Beside, await_rollout, run_replica
from support.rollouts.live import register_versions
from support.servers.images import use_home

pytestmark = pytest.mark.slow

SERVICE = "employment"
POLICY = """
policy: quick
block: 0.2 s
history: 1 s
pass_alpha: 0.05
rules:
  error_margin: {margin: 0.05}
stages:
  - {name: shadow, weight: 0.0, min: 0.6 s, max: 60 s, passes: [error_margin, disagreement]}
  - {name: canary, weight: 0.25, min: 0.6 s, max: 60 s, passes: [error_margin]}
  - {name: half, weight: 0.50, min: 0.6 s, max: 60 s, passes: [error_margin]}
soak: 0.6 s
"""


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with (
        use_home(tmp_path_factory.mktemp("rolled")) as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("tasks.rollout.opening.WATCH_SECONDS", 1.0)
        yield home


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("policies") / "quick.yaml"
    file.write_text(POLICY.lstrip())
    return str(file)


@pytest.fixture(scope="module")
def registry(home: Home) -> Registry:
    """A registry with four versions that passed their gates; v1 is champion."""
    registry = open_registry(home)
    registry.prepare()
    register_versions(registry, SERVICE, 4)
    return registry


@pytest.fixture
def control(home: Home) -> Control:
    return prepare_control(home)


@pytest.fixture
def replica(
    control: Control, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrafficReplica]:
    """One replica, v1 the champion, v2 the candidate, and no rollout."""
    store = registry.store
    store.set_alias(SERVICE, "champion", 1)
    store.set_alias(SERVICE, "candidate", 2)
    registry.drop_previous(SERVICE, 1)
    control.routes.follow_champion(SERVICE, 1)
    config = configure()
    for flow in ("rollout", "rollout_control", "rollback", "restore"):
        monkeypatch.setattr(f"flows.{flow}.load_rollout", lambda *_: config)
    with run_replica(control, SERVICE) as replica:
        monkeypatch.setenv("SLUICE_STATUS_UI", "http://127.0.0.1:8090")
        yield replica


def configure(**changes: Any) -> ServiceConfig:
    route = RouteConfig(assign_by="request", lease_ttl=6.0)
    config = load_service(SERVICE, "development")
    return config.model_copy(update={"rollout": RolloutConfig(route=route, **changes)})


def roll(policy: str, **given: Any) -> Any:
    from flows.rollout import rollout

    return rollout(SERVICE, policy=policy, return_state=True, **given)


def steer(action: str, reason: str = "a test") -> Any:
    from flows.rollout_control import rollout_control

    return rollout_control(SERVICE, action=action, reason=reason, by="Ada", return_state=True)


def aliases(registry: Registry) -> dict[str, int]:
    names = ("champion", "candidate", "previous")
    found = {name: registry.find_alias(SERVICE, name) for name in names}
    return {name: item.version for name, item in found.items() if item}


def last_log(control: Control) -> list[dict[str, Any]]:
    number = control.rollouts.list_rollouts(SERVICE)[-1].number
    return [record for _, record in control.rollouts.read_log(SERVICE, number)]


def newest_page() -> str:
    """Return the page of the rollout as it was published last."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[f"{SERVICE}-rollout"]))
    with get_client(sync_client=True) as client:
        order = ArtifactSort.CREATED_DESC
        return str(
            client.read_artifacts(artifact_filter=wanted, sort=order, limit=1)[0].data
        ).replace("<br>", " ")


def await_open(control: Control, question: Callable[[RolloutRecord], object]) -> RolloutRecord:
    """Wait until the question is true of the rollout under way."""
    return await_rollout(lambda: control.rollouts.find_open(SERVICE), question)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """What a server of lineage is told of the rollouts of a test."""
    with receive_events() as found:
        monkeypatch.setenv("OPENLINEAGE_URL", found.url)
        yield found


def read_versions(event: dict[str, Any], side: str) -> dict[str, str]:
    """Return the versions that an event names, by the last part of their namespaces."""
    check_required(event)
    read_event(event)
    return {
        item["namespace"].rpartition("/")[2]: item["facets"]["version"]["datasetVersion"]
        for item in event[side]
    }


def test_a_healthy_candidate_serves_in_the_end(
    replica: TrafficReplica,
    policy: str,
    control: Control,
    registry: Registry,
    receiver: Receiver,
) -> None:
    state = roll(policy)
    assert state.is_completed(), state.message
    assert state.result().phase == "done"
    assert aliases(registry) == {"champion": 2, "previous": 1}
    route = control.routes.find(SERVICE)
    assert route is not None
    assert (route.champion, route.candidate) == (2, None)
    assert replica.weights == [0.0, 0.25, 0.5, 0.0]
    records = last_log(control)
    assert records[0]["before"]
    derived = list(derive(records, load_policy(policy)))
    assert derived[-1].state.phase.value == "done"
    page = newest_page()
    assert "| **done** | half | 100% |" in page
    assert "half: every test passed after" in page
    assert "[Watch it, second by second](http://127.0.0.1:8090/services/employment)" in page
    shown = StoreReader(control).read_service(SERVICE)
    assert shown is not None
    assert shown.rollout is not None
    assert {stage.state for stage in shown.rollout.stages} == {"past"}
    assert shown.rollout.arms[0].requests > 0
    assert control.rollouts.list_unsettled() == []
    assert receiver.list_types() == ["START", "COMPLETE"]
    [_, told] = receiver.events
    assert told["job"]["name"] == f"rollout.{SERVICE}"
    assert read_versions(told, "inputs") == {"registry": "2", "production": "1"}
    assert read_versions(told, "outputs") == {"production": "2"}


def test_a_bad_candidate_is_rolled_back_and_loses_its_alias(
    replica: TrafficReplica,
    policy: str,
    control: Control,
    registry: Registry,
    receiver: Receiver,
) -> None:
    replica.behave(errors={2: 0.3})
    state = roll(policy)
    assert state.is_failed()
    assert state.message.startswith("RolloutRolledBack: error_")
    assert aliases(registry) == {"champion": 1}
    route = control.routes.find(SERVICE)
    assert route is not None
    assert (route.champion, route.candidate) == (1, None)
    assert last_log(control)[-1]["phase"] == "rolled back"
    assert receiver.list_types() == ["START", "FAIL"]
    assert read_versions(receiver.events[-1], "outputs") == {}
    error = receiver.events[-1]["run"]["facets"]["errorMessage"]["message"]
    assert error.startswith("RolloutRolledBack: error_")


def test_one_that_turns_bad_in_the_soak_is_rolled_back_too(
    replica: TrafficReplica, policy: str, control: Control, registry: Registry
) -> None:
    long = Path(policy).with_name("long.yaml")
    text = POLICY.lstrip().replace("policy: quick", "policy: long")
    long.write_text(text.replace("soak: 0.6 s", "soak: 60 s"))
    beside = Beside(roll, str(long))
    await_open(control, lambda record: record.state.phase.value == "soak")
    replica.behave(errors={2: 0.5})
    state = beside.end()
    assert state.message.startswith("RolloutRolledBack: error_rate: beyond its frozen limit")
    assert aliases(registry) == {"champion": 1}


def test_a_person_rolls_back(
    replica: TrafficReplica, policy: str, control: Control, registry: Registry
) -> None:
    from flows.rollback import rollback

    replica.behave(rate=20.0)
    beside = Beside(roll, policy)
    await_open(control, lambda record: record.state.phase.value == "shadow")
    done = rollback(SERVICE, reason="complaints", by="Ada", return_state=True)
    assert done.result().message == "roll-back (Ada: complaints)"
    assert beside.end().message.startswith("RolloutRolledBack: roll-back (Ada: complaints)")
    commands = control.commands.list_commands(SERVICE)
    assert (commands[-1].action, commands[-1].by, commands[-1].answer) == (
        "roll-back",
        "Ada",
        "obey",
    )


def test_commands_are_obeyed_in_the_phases_that_allow_them_and_refused_in_others(
    replica: TrafficReplica, policy: str, control: Control
) -> None:
    replica.behave(rate=20.0)
    beside = Beside(roll, policy)
    await_open(control, lambda record: record.state.phase.value == "shadow")
    refused = steer("resume")
    assert refused.message == (
        "CommandRefused: resume: the rollout is shadow; allowed while it is paused"
    )
    assert steer("pause").is_completed()
    assert steer("sleep").message.startswith("CommandRefused: found 'sleep'; allowed: pause")
    paused = await_open(control, lambda record: record.state.phase.value == "paused")
    await_open(control, lambda record: record.tick >= paused.tick + 3)  # it is still tested
    assert steer("skip").is_completed()
    await_open(control, lambda record: record.state.stage == 1)
    assert steer("abort", "enough seen").is_completed()
    assert beside.end().result().phase == "aborted"
    assert steer("pause").message.startswith("CommandRefused: pause: no rollout of employment")


def test_missing_counters_hold_with_their_reason_and_let_the_lease_lapse(
    replica: TrafficReplica, policy: str, control: Control
) -> None:
    beside = Beside(roll, policy)
    await_open(control, lambda record: record.state.phase.value == "shadow")
    for trouble, reason in (
        ({"status": 500}, "/v1/counters answers 500"),
        ({"status": 200, "broken": "nan"}, "requests is nan"),
        ({"broken": ""}, ""),
        ({"rate": 0.0}, ""),
    ):
        replica.behave(**trouble)
        if reason:
            held = await_open(control, lambda record, text=reason: text in record.state.reason)
            assert held.state.phase.value == "holding"
            await_open(control, lambda record: not record.state.renews)
        else:
            await_open(control, lambda record: record.state.renews)
    stage = await_open(control, lambda record: True).state.stage
    assert steer("abort").is_completed()
    assert beside.end().result().phase == "aborted"
    assert stage in {0, 1, 2}


def test_an_incident_of_both_arms_freezes_and_blames_nobody(
    replica: TrafficReplica, policy: str, control: Control
) -> None:
    replica.behave(rate=200.0)
    beside = Beside(roll, policy)
    await_open(control, lambda record: record.state.phase.value == "shadow")
    replica.behave(tripped=True, alarm=12.0)
    await_open(control, lambda record: record.state.phase.value == "frozen")
    replica.behave(tripped=False, alarm=-3.0)
    await_open(control, lambda record: record.state.phase.value != "frozen")
    replica.behave(rate=4000.0)
    assert beside.end().result().phase == "done"


def test_a_rollout_that_lost_its_controller_continues_from_its_last_tick(
    replica: TrafficReplica, policy: str, control: Control, registry: Registry
) -> None:
    replica.behave(rate=20.0)
    beside = Beside(roll, policy)
    record = await_open(control, lambda record: record.tick > 3)
    while not control.leases.take(control.leases.find(SERVICE, "rollout"), "nobody", 1.0):
        pass
    assert beside.end().message.startswith("LeaseLost: the lease rollout of employment")
    left = control.rollouts.find_open(SERVICE)
    assert left is not None
    assert left.tick >= record.tick
    replica.behave(rate=4000.0)
    state = roll(policy, resume=True)
    assert state.result().number == left.number
    assert aliases(registry) == {"champion": 2, "previous": 1}
    ticks = [record["tick"] for record in last_log(control)]
    assert ticks == list(range(len(ticks)))
    assert list(derive(last_log(control), load_policy(policy)))


def test_a_second_one_waits_or_replaces(
    replica: TrafficReplica,
    policy: str,
    control: Control,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica.behave(rate=20.0)
    first = Beside(roll, policy)
    await_open(control, lambda record: record.state.phase.value == "shadow")
    registry.store.set_alias(SERVICE, "candidate", 3)
    monkeypatch.setattr("flows.rollout.load_rollout", lambda *_: configure(second="replace"))
    second = Beside(roll, policy, version=3)
    assert first.end().result().phase == "aborted"
    await_open(control, lambda record: record.candidate == 3)
    replica.behave(rate=4000.0)
    assert second.end().result().version == 3
    assert aliases(registry) == {"champion": 3, "previous": 1}


def test_restore_and_rollback_move_alias_and_route_and_record_by_whom_and_why(
    replica: TrafficReplica, control: Control, registry: Registry
) -> None:
    from flows.restore import restore
    from flows.rollback import rollback

    given = {"reason": "a test", "by": "Ada"}
    assert restore(SERVICE, version=4, **given, return_state=True).is_completed()
    assert aliases(registry) == {"champion": 4, "candidate": 2, "previous": 1}
    assert rollback(SERVICE, **given, return_state=True).result().message == "v1 is champion"
    assert aliases(registry) == {"champion": 1, "candidate": 2}
    none = rollback(SERVICE, **given, return_state=True)
    assert "has no previous version; next: `sluice restore" in none.message
    unknown = restore(SERVICE, version=99, **given, return_state=True)
    assert unknown.message == "RolloutRefused: employment has no v99"
    route = control.routes.find(SERVICE)
    assert route is not None
    assert route.champion == 1
    done = [(item.action, item.by) for item in control.commands.list_commands(SERVICE)][-2:]
    assert done == [("restore", "Ada"), ("rollback", "Ada")]
