"""The keeper: what it adopts, finishes and continues, and what it says is live."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.adapters.control.rollouts import CONTROLLER, Opening, Tick
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.moves import roll_back_champion
from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.rollout import RouteConfig
from sluice.control.command import Author
from sluice.control.lease import Lease
from sluice.control.timeline import TimelineEntry
from sluice.home import Home, find_home
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, write_step
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Command
from sluice.rollout.state_machine import step
from support.releases.runs import artifacts_of, run_sluice, text_of
from support.releases.sources import events_of
from support.rollouts.counts import LAPTOP
from support.rollouts.live import register_versions
from support.servers.images import use_home
from tasks.rollout.conflicts import Comparer

pytestmark = pytest.mark.slow

SERVICE = "employment"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with use_home(tmp_path_factory.mktemp("kept")) as home:
        yield home


@pytest.fixture(scope="module")
def registry(home: Home) -> Registry:
    """A registry with three versions, of which v1 is champion and v2 the candidate."""
    registry = open_registry(home)
    registry.prepare()
    register_versions(registry, SERVICE, 3)
    return registry


@pytest.fixture
def control(home: Home, registry: Registry) -> Control:
    control = prepare_control(home)
    registry.store.set_alias(SERVICE, "champion", 1)
    registry.store.set_alias(SERVICE, "candidate", 2)
    control.routes.follow_champion(SERVICE, 1)
    return control


def keep() -> Any:
    from flows.keeper import keeper

    return keeper(SERVICE, return_state=True)


def begin(control: Control) -> tuple[Lease, RolloutRecord]:
    """Open a rollout and write its first tick; its controller then stops renewing."""
    lease = control.leases.acquire(SERVICE, CONTROLLER, "a controller", 1.0)
    terms = RouteConfig(lease_ttl=1.0)
    rollout = control.rollouts.open(lease, Opening(SERVICE, 1, 2, LAPTOP, terms, "salt"), NOW)
    return lease, advance(control, lease, rollout)


def advance(
    control: Control, lease: Lease, rollout: RolloutRecord, action: Action | None = None
) -> RolloutRecord:
    command = Command(action, "Ada", "a test") if action else None
    facts = Facts(epoch=rollout.state.epoch)
    state, decision = step(rollout.state, facts, command, LAPTOP)
    record = write_step(rollout.tick, facts, command, Derived(state, decision), LAPTOP)
    tick = Tick(replace(rollout, state=state), record, decision)
    return control.rollouts.write(lease, rollout, tick, NOW)


def test_an_alias_that_was_moved_by_hand_is_adopted_and_recorded(
    control: Control, registry: Registry
) -> None:
    registry.store.set_alias(SERVICE, "champion", 3)
    state = keep()
    page = artifacts_of(state)["rollouts"].data
    assert "v3 is champion, the alias was moved from v1" in state.message, page
    route = control.routes.find(SERVICE)
    assert route is not None
    assert route.champion == 3
    done = control.commands.list_commands(SERVICE)[-1]
    assert (done.action, done.by, done.message) == ("adopt", "the registry", "v3 is champion")
    assert "| employment | v3<br>" in page


def test_a_promotion_between_two_reads_is_not_adopted(
    control: Control, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry's library is imported between them, which takes seconds on a busy machine."""
    read_alias = Registry.find_alias

    def promote_and_read(self: Registry, service: str, alias: str) -> Any:
        control.routes.follow_champion(service, 3)
        self.store.set_alias(service, "champion", 3)
        return read_alias(self, service, alias)

    monkeypatch.setattr(Registry, "find_alias", promote_and_read)
    found = Comparer(control, registry, {}).compare(SERVICE, None)
    assert (found.repaired, found.note) == ([], "the route moved while it was compared")


def test_without_anything_to_repair_it_shows_what_is_live(control: Control) -> None:
    state = keep()
    assert (state.name, state.message) == ("Skipped", "nothing to repair")
    assert "| employment | v1<br>" in artifacts_of(state)["rollouts"].data


def test_during_a_rollout_a_moved_alias_is_a_conflict_and_changes_nothing(
    control: Control, registry: Registry
) -> None:
    lease, rollout = begin(control)
    registry.store.set_alias(SERVICE, "champion", 3)
    page = text_of(artifacts_of(keep())["rollouts"].data)
    assert "conflict: the alias champion names v3, but a rollout is under way" in page
    assert "gone: the champion serves alone" in page
    route = control.routes.find(SERVICE)
    assert route is not None
    assert (route.champion, route.candidate) == (1, 2)
    registry.store.set_alias(SERVICE, "champion", 1)
    advance(control, lease, rollout, Action.ABORT)


def test_conflict_is_announced_once_although_it_is_found_twice(
    control: Control, registry: Registry, api: str
) -> None:
    lease, rollout = begin(control)
    registry.store.set_alias(SERVICE, "champion", 3)
    before = len(events_of(api, SERVICE, "rollout.conflict"))
    for _ in range(2):
        keep()
    assert len(events_of(api, SERVICE, "rollout.conflict")) == before + 1
    registry.store.set_alias(SERVICE, "champion", 1)
    advance(control, lease, rollout, Action.ABORT)


def test_aliases_that_do_not_match_a_rollouts_end_are_moved(
    control: Control, registry: Registry
) -> None:
    lease, rollout = begin(control)
    rollout = advance(control, lease, rollout, Action.ROLL_BACK)
    advance(control, lease, rollout)
    assert [item.number for item in control.rollouts.list_unsettled()]
    assert "aliases moved to match rollout" in keep().message
    assert control.rollouts.list_unsettled() == []
    assert registry.find_alias(SERVICE, "candidate") is None


@pytest.mark.faults
def test_a_controller_that_is_gone_is_started_again(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client

    from support.servers.stack import deploy, find_runs, remove_all

    deploy()
    lease, rollout = begin(control)
    try:
        assert "a controller for v2 was started" in keep().message
        assert "a controller for v2 was started" in keep().message  # the same run, once in a while
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name("rollout/rollout")
        [run] = find_runs(found)
        assert run.parameters == {"service": SERVICE, "version": 2, "resume": True}
    finally:
        remove_all()
        advance(control, lease, rollout, Action.ABORT)


def move_back(control: Control, origin: str) -> TimelineEntry:
    """Let v2 serve instead of v1 and roll back, as a terminal does while all else is away."""
    control.routes.follow_champion(SERVICE, 2)
    by = Author("Ada", "complaints", origin)
    return roll_back_champion(control, open_registry(find_home()), SERVICE, by)


def test_what_a_terminal_could_not_complete_is_completed_once(
    control: Control, registry: Registry, api: str
) -> None:
    registry.store.set_alias(SERVICE, "champion", 2)
    move_back(control, "terminal ada@desk, process 1")
    before = len(events_of(api, SERVICE, "rollout.rollback"))
    state = keep()
    assert f"{SERVICE}: aliases follow rollback to v1" in state.message
    assert "adopted" not in artifacts_of(state)["rollouts"].data
    found = registry.find_alias(SERVICE, "champion")
    assert found is not None
    assert found.version == 1
    page = text_of(artifacts_of(state)[f"{SERVICE}-timeline"].data)
    assert "rollback v1 | Ada | complaints | terminal ada@desk, process 1 |" in page
    again = keep()
    assert again.message == "nothing to repair"
    assert f"{SERVICE}-timeline" not in artifacts_of(again), "nothing is new"
    events = events_of(api, SERVICE, "rollout.rollback")[before:]
    assert [item["payload"] for item in events] == [
        {"version": 1, "by": "Ada", "reason": "complaints"}
    ]


def test_a_terminal_tells_prefect_where_it_is_there(control: Control, home: Home, api: str) -> None:
    control.routes.follow_champion(SERVICE, 2)
    before = len(events_of(api, SERVICE, "rollout.rollback"))
    words = ("--by", "Ada", "--reason", "complaints")
    ended = run_sluice("rollback", SERVICE, *words, home=home.root, PREFECT_API_URL=api)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Prefect   told" in ended.stdout
    events = events_of(api, SERVICE, "rollout.rollback")[before:]
    assert [item["payload"]["by"] for item in events] == ["Ada"]
    assert events[0]["resource"]["sluice.version"] == "1"
    assert control.moves.list_untold(SERVICE) == []


def test_a_conflict_is_in_the_timeline(control: Control, registry: Registry) -> None:
    lease, rollout = begin(control)
    registry.store.set_alias(SERVICE, "champion", 3)
    keep()
    conflicts = [
        item for item in control.timeline.list_entries(SERVICE) if item.action == "conflict"
    ]
    assert conflicts[0].version == 3
    assert conflicts[0].origin == "keeper"
    registry.store.set_alias(SERVICE, "champion", 1)
    advance(control, lease, rollout, Action.ABORT)
