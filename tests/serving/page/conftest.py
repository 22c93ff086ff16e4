"""A control store with rollouts in several states, and the page over it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.home import Home
from sluice.rollout.state import Action, Phase
from support.rollouts.page import run_page
from support.rollouts.store import StoredRollout

HOSTILE = "<script>alert(1)</script> & \"quotes\" 'too'"
KEYS = (
    f"{sha256(b'steer').hexdigest()} +control",
    f"{sha256(b'other').hexdigest()} +control elsewhere",
    sha256(b"ask").hexdigest(),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Control:
    """`shop` was rolled back and has a new candidate; `quiet` has only a champion."""
    control = open_control(Home(tmp_path_factory.mktemp("stored")))
    control.prepare()
    control.routes.follow_champion("quiet", 3)
    first = StoredRollout(control, "shop", (1, 2), opened=datetime.now(UTC) - timedelta(days=2))
    first.tick_to(Phase.SHADOW)
    first.tick_to(Phase.ROLLED_BACK, candidate=0.3)
    first.end()
    second = StoredRollout(control, "shop", (1, 3), seed=2)
    second.tick_to(Phase.CANARY)
    second.tick(4)
    second.command(Action.PAUSE, HOSTILE, HOSTILE)
    second.command(Action.APPROVE, "Grace", "in vain")
    second.command(Action.RESUME, "Grace", "it is over")
    second.tick(3)
    return control


@pytest.fixture(scope="module")
def page(stored: Control) -> Iterator[httpx.Client]:
    """The page, with keys."""
    with run_page(stored, KEYS) as client:
        yield client
