"""Records of a clock that is ahead become an event, once, and again when they last."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serving.log.log_writer import LogShipper
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.tables.retention import read_retention, retention_path
from sluice.config.serving import TrafficLogConfig
from sluice.control.watermark import GRACE
from sluice.events import expand_event
from sluice.home import Home
from support.gateway.records import begin_worker, make_answer
from support.releases.runs import run_sluice
from support.releases.sources import events_of
from support.servers.images import use_home
from tasks.rollout.clock import CLOCK

pytestmark = pytest.mark.slow

SERVICE = "employment"
DAY = 86400.0
AT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
EVENT = "traffic.clock-ahead"


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with use_home(tmp_path_factory.mktemp("ahead")) as home:
        yield home


@pytest.fixture(scope="module")
def control(home: Home) -> Control:
    control = prepare_control(home)
    for service in (SERVICE, "earnings"):
        control.routes.follow_champion(service, 1)
    return control


def log_answers(home: Home, run: str, *days: float) -> None:
    """Have the log-writer take in answers of these days, and look at their times."""
    worker = begin_worker(home.serving / "one", run)
    worker.write([make_answer(0, at=AT + DAY * day, service=SERVICE) for day in days])
    config = TrafficLogConfig()
    LogShipper(home, config).ship(AT, all_of_it=True)
    LogShipper(home, config).prune(AT, 0)


def keep() -> Any:
    from flows.keeper import keeper

    return keeper("all", return_state=True)


@pytest.mark.faults
def test_jump_of_the_clock_is_an_event_until_it_is_accepted(
    api: str, home: Home, control: Control
) -> None:
    log_answers(home, "1", 0, 1, 2)
    keep()
    assert events_of(api, SERVICE, EVENT) == []

    log_answers(home, "2", 40)
    assert read_retention(retention_path(home)).ahead
    state = keep()
    assert f"{SERVICE}: a clock is ahead, see `sluice retention`" in state.message
    [event] = events_of(api, SERVICE, EVENT)
    assert event["payload"]["reason"].startswith("traffic log: records of 2026-12-11T00 (UTC) come")
    assert "sluice retention --accept" in event["payload"]["next"]
    assert events_of(api, "earnings", EVENT) == []
    keep()
    assert len(events_of(api, SERVICE, EVENT)) == 1

    seen = control.watermarks.find(SERVICE, CLOCK)
    assert seen.announced is not None
    earlier = seen.announce(seen.mark, seen.announced - GRACE - timedelta(seconds=1))
    assert control.watermarks.move(seen, earlier)
    keep()
    assert len(events_of(api, SERVICE, EVENT)) == 2

    accepted = run_sluice("retention", "--accept", "--by=Ada", "--reason=quiet", home=home.root)
    assert accepted.returncode == 0, accepted.stdout
    keep()
    assert len(events_of(api, SERVICE, EVENT)) == 2
    assert control.watermarks.find(SERVICE, CLOCK).announced is None


def test_event_can_be_chosen_for_a_notification() -> None:
    assert expand_event("traffic.*") == [EVENT]
