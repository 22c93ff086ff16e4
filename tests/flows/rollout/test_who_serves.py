"""Only what may serve comes to serve, whatever names it; who serves is the store's to say."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.database import Database
from sluice.adapters.control.migrations import MIGRATIONS, migrate
from sluice.adapters.control.schema import ROUTES
from sluice.adapters.control.store import Control, open_control, prepare_control
from sluice.adapters.gateway import Replica, Replicas
from sluice.adapters.moves import restore_champion, roll_back_champion
from sluice.adapters.recovery import accept_store
from sluice.adapters.registry.client import Registry, open_registry
from sluice.control.command import Author
from sluice.errors import CommandRefused, PromotionRefused
from sluice.home import Home
from support.releases.runs import artifacts_of, text_of
from support.releases.sources import events_of
from support.releases.verdicts import PASSED
from support.rollouts.live import register_version, register_versions, serve_first
from support.servers.images import use_home
from support.servers.ports import find_free_port

pytestmark = pytest.mark.slow

SERVICE = "employment"
ADA = Author("Ada", "restored", "a terminal")
BARE, FAILED, PENDING, TAGGED, GONE = 3, 4, 5, 6, 7
"""Versions: without verdicts, with a failed gate, unapproved, approved by a tag only, deleted."""
UNFIT = {
    BARE: {},
    FAILED: {**PASSED, "sluice.verdict.bias": "fail"},
    PENDING: {**PASSED, "sluice.approval": "pending"},
    TAGGED: {**PASSED, "sluice.approval": "approved"},
}


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    nobody = f"http://127.0.0.1:{find_free_port()}"
    with use_home(tmp_path_factory.mktemp("serves"), SLUICE_GATEWAY_URLS=nobody) as home:
        yield home


@pytest.fixture(scope="module")
def registry(home: Home) -> Registry:
    """A registry with two versions that may serve, and those that may not."""
    registry = open_registry(home)
    registry.prepare()
    register_versions(registry, SERVICE, 2)
    for version, tags in UNFIT.items():
        assert register_version(registry, SERVICE, tags).version == version
    assert register_version(registry, SERVICE).version == GONE
    return registry


@pytest.fixture
def control(home: Home, registry: Registry) -> Control:
    return serve_first(home, registry, SERVICE)


def keep() -> Any:
    from flows.keeper import keeper

    return keeper(SERVICE, return_state=True)


def restore(version: int, **given: Any) -> Any:
    from flows.restore import restore

    given = {"reason": "an outage", "by": "Ada", **given}
    return restore(SERVICE, version=version, **given, return_state=True)


def page_of(state: Any) -> str:
    return text_of(artifacts_of(state)["rollouts"].data)


def champion_of(control: Control) -> int:
    route = control.routes.find(SERVICE)
    assert route is not None
    return route.champion


@contextmanager
def run_replica(epoch: int, conflict: str = "") -> Iterator[str]:
    """Answer `/v1/counters` as a gateway that knows this epoch; yield its address."""
    services = {SERVICE: {"epoch": epoch, "conflict": conflict}}
    body = json.dumps({"services": services, "worker_runs": [], "breakers": []}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("version", UNFIT)
def test_an_alias_moved_to_a_version_that_may_not_serve_is_a_conflict(
    control: Control, registry: Registry, api: str, version: int
) -> None:
    before = control.routes.find(SERVICE)
    events = len(events_of(api, SERVICE, "rollout.conflict"))
    registry.store.set_alias(SERVICE, "champion", version)
    page = page_of(keep())
    assert f"conflict: the alias champion names v{version}, which may not serve" in page
    assert "v1 goes on serving" in page
    assert control.routes.find(SERVICE) == before
    assert len(events_of(api, SERVICE, "rollout.conflict")) == events + 1
    assert f"v{version}, which may not serve" in control.watermarks.find_conflict(SERVICE)
    registry.store.set_alias(SERVICE, "champion", 1)
    keep()
    assert control.watermarks.find_conflict(SERVICE) == ""


@pytest.mark.parametrize("version", UNFIT)
def test_neither_restore_nor_rollback_serves_a_version_that_may_not(
    control: Control, registry: Registry, version: int
) -> None:
    from flows.rollback import rollback

    refused = restore(version)
    assert refused.message.startswith("PromotionRefused: ")
    registry.store.set_alias(SERVICE, "previous", version)
    back = rollback(SERVICE, reason="slow", by="Ada", return_state=True)
    assert back.message.startswith(f"RolloutRefused: {SERVICE} has no previous version")
    assert champion_of(control) == 1
    assert registry.find_alias(SERVICE, "champion").version == 1  # type: ignore[union-attr]
    registry.drop_previous(SERVICE, version)


@pytest.mark.parametrize("version", UNFIT)
def test_a_store_older_than_its_timeline_brings_back_no_version_that_may_not_serve(
    registry: Registry, tmp_path: Path, version: int
) -> None:
    control = open_older_store(tmp_path, serves=1)
    registry.store.set_alias(SERVICE, "previous", version)
    with pytest.raises(PromotionRefused, match=f"{SERVICE} v{version}"):
        roll_back_champion(control, registry, SERVICE, ADA)
    registry.drop_previous(SERVICE, version)
    assert champion_of(control) == 1
    served_it = open_older_store(tmp_path / "other", serves=version)
    assert restore_champion(served_it, registry, SERVICE, 1, ADA).version == 1
    with pytest.raises(PromotionRefused, match=f"{SERVICE} v{version}"):
        roll_back_champion(served_it, registry, SERVICE, ADA)
    assert champion_of(served_it) == 1


def open_older_store(root: Path, serves: int) -> Control:
    """Open a store whose route is older than the record of who served."""
    root.mkdir(exist_ok=True)
    database = Database(Home(root).control_url)
    migrate(database, tuple(step for step in MIGRATIONS if step.number < 8))
    row = {
        **{"service": SERVICE, "champion": serves, "weight": 0, "stage_weights": "[]"},
        **{"shadow_share": 1, "salt": "", "assign_by": "unit", "mode": "champion"},
        **{"arm_timeout_ms": 1000, "candidate_concurrency": 8, "epoch": 7, "ttl": 15},
        **{"renewal": 0, "tolerance": 0, "value_cap": 0},
    }
    with database.transact("writing a route") as connection:
        connection.execute(ROUTES.insert().values(**row))
    control = open_control(Home(root))
    control.prepare()
    return control


@pytest.mark.parametrize("version", UNFIT)
def test_neither_promote_nor_rollout_serves_a_version_that_may_not(
    control: Control, registry: Registry, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.promote import promote
    from flows.rollout import rollout
    from tasks.rollout import opening
    from tasks.rollout.keeper import find_untried

    # A rollout that is opened would hold for ever: the next step after the check ends it.
    monkeypatch.setattr(opening, "watch_traffic", lambda *_: pytest.fail("it is opened"))
    registry.store.set_alias(SERVICE, "candidate", version)
    for start in (promote, rollout, partial(rollout, version=version)):
        state: Any = start(SERVICE, return_state=True)
        assert state.message.startswith("PromotionRefused: ")
    assert find_untried(control, registry, SERVICE) is None, "the keeper starts no rollout of it"
    assert control.rollouts.list_rollouts(SERVICE) == []
    assert champion_of(control) == 1
    registry.store.client().delete_registered_model_alias(SERVICE, "candidate")


@pytest.mark.parametrize("version", UNFIT)
def test_without_a_route_an_alias_makes_no_version_serve_that_may_not(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """As after a first release that was killed, or in a store that somebody emptied."""
    from tasks.run.champions import find_champion

    monkeypatch.setenv("SLUICE_CONTROL_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    registry.store.set_alias(SERVICE, "champion", version)
    assert find_champion(SERVICE).version is None
    page = page_of(keep())
    assert f"conflict: the alias champion names v{version}, which may not serve" in page
    assert "nothing serves" in page
    assert prepare_control(Home(tmp_path)).routes.find(SERVICE) is None
    registry.store.set_alias(SERVICE, "champion", 1)
    served = find_champion(SERVICE)
    assert served.version == 1


def test_a_route_moved_by_hand_to_such_a_version_is_a_conflict(
    control: Control, registry: Registry
) -> None:
    control.routes.follow_champion(SERVICE, BARE)
    registry.store.set_alias(SERVICE, "champion", BARE)
    assert f"conflict: the route names v{BARE}, which may not serve" in page_of(keep())
    assert restore(1).is_completed()


def test_a_missing_alias_is_set_again_and_the_route_stays(
    control: Control, registry: Registry
) -> None:
    before = control.routes.find(SERVICE)
    registry.store.client().delete_registered_model_alias(SERVICE, "champion")
    assert "the alias champion was missing, it names v1 again" in keep().message
    assert control.routes.find(SERVICE) == before
    assert registry.find_alias(SERVICE, "champion").version == 1  # type: ignore[union-attr]


def test_the_page_says_since_when_a_version_serves(control: Control) -> None:
    route = control.routes.find(SERVICE)
    assert route is not None
    since = control.timeline.find_since(route)
    assert since is not None
    assert f"| {SERVICE} | v1 since {since:%Y-%m-%d %H:%M} |" in page_of(keep())


def test_a_forced_restore_is_recorded_with_who_and_why(
    control: Control, registry: Registry, api: str
) -> None:
    state = restore(BARE, force=True)
    assert state.is_completed(), state.message
    assert champion_of(control) == BARE
    [made] = control.admissions.list_exceptions(SERVICE)
    assert (made.version, made.by, made.reason) == (BARE, "Ada", "an outage")
    command = control.commands.list_commands(SERVICE)[-1]
    assert "by an exception: employment v3: it carries no verdict" in command.message
    entry = control.timeline.find_change(SERVICE)
    assert entry is not None
    assert (entry.action, entry.by, entry.reason) == ("forced-restore", "Ada", "an outage")
    [event] = events_of(api, SERVICE, "rollout.forced")
    assert event["payload"] == {"version": BARE, "by": "Ada", "reason": "an outage"}
    assert "conflict" not in page_of(keep())
    assert restore(1).is_completed()


def test_a_version_that_was_deleted_while_it_serves_is_a_conflict(
    control: Control, registry: Registry
) -> None:
    assert restore(GONE).is_completed()
    registry.store.client().delete_model_version(SERVICE, str(GONE))
    page = page_of(keep())
    assert f"conflict: employment v{GONE} serves, but the registry does not have it" in page
    assert champion_of(control) == GONE
    assert restore(1).is_completed()
    assert champion_of(control) == 1


def test_a_gateway_ahead_of_a_restored_store_is_a_conflict_until_its_word_is_taken(
    control: Control, registry: Registry, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    registry.store.set_alias(SERVICE, "champion", 2)  # as it was before the copy was restored
    with run_replica(epoch=900, conflict="an older store") as address:
        monkeypatch.setenv("SLUICE_GATEWAY_URLS", address)
        page = page_of(keep())
        assert "conflict: the control store shows epoch" in page
        assert "`sluice accept-store employment --by NAME --reason WORDS`" in page
        assert champion_of(control) == 1
        moved = accept_store(home, Replicas([Replica(address)]), SERVICE, ADA, now)
    assert (moved.champion, moved.epoch) == (1, 902)
    assert registry.find_alias(SERVICE, "champion").version == 1  # type: ignore[union-attr]
    with run_replica(epoch=902) as address:
        monkeypatch.setenv("SLUICE_GATEWAY_URLS", address)
        assert "conflict" not in page_of(keep())
        with pytest.raises(CommandRefused, match="the store's word counts already"):
            accept_store(home, Replicas([Replica(address)]), SERVICE, ADA, now)


def test_without_an_answer_of_a_gateway_the_stores_word_is_not_taken(
    control: Control, home: Home
) -> None:
    replicas = Replicas([Replica(f"http://127.0.0.1:{find_free_port()}")])
    with pytest.raises(CommandRefused, match="no gateway says which epoch of employment it knows"):
        accept_store(home, replicas, SERVICE, ADA, datetime.now(UTC))
