"""A candidate that is not loaded yet is asked for its smoke test again soon."""

from typing import Any

import pytest

from sluice.adapters.control.store import prepare_control
from sluice.adapters.gateway import Replicas
from sluice.home import Home
from sluice.rollout.collection import Reply
from support.rollouts.store import StoredRollout
from tasks.rollout import collection
from tasks.rollout.collection import MetricsCollector

SERVICE = "employment"


class Loading(Replicas):
    """One replica that loads its candidate, and counts how often it is asked for the test."""

    def __init__(self, identity: str) -> None:
        super().__init__([])
        self.asked, self._identity = 0, identity
        self.reply: Reply = "409: no candidate is loaded"

    def smoke_candidate(self, service: str) -> dict[str, Reply]:
        self.asked += 1
        return {"a": self.reply}

    def answer(self, **facts: Any) -> None:
        self.reply = {"version": 2, "identity": self._identity, **facts}


@pytest.fixture
def rollout(home: Home) -> StoredRollout:
    """A rollout in its shadow stage, which could end."""
    found = StoredRollout(prepare_control(home), SERVICE)
    policy = found.record.policy
    found.tick(policy.count_blocks(policy.stages[0].min))
    assert found.record.stage_name == "shadow"
    return found


def test_a_test_that_no_replica_could_run_is_asked_for_again_soon(
    home: Home, rollout: StoredRollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Loading(prepare_control(home).find_identity())
    collector = MetricsCollector(SERVICE, replica)
    found = [collector.collect(rollout.record)[1] for _ in range(2)]
    assert [facts.smoke for facts in found] == [None, None]
    assert replica.asked == 1, "not with every tick"
    assert "409: no candidate is loaded" in found[1].missing
    monkeypatch.setattr(collection, "SOON_SECONDS", 0.0, raising=False)
    replica.answer(passed=True)
    assert collector.collect(rollout.record)[1].smoke is True
    assert collector.collect(rollout.record)[1].smoke is True
    assert replica.asked == 2, "a test that passed is not repeated"


def test_a_test_that_failed_is_repeated_later(
    home: Home, rollout: StoredRollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "SOON_SECONDS", 0.0, raising=False)
    replica = Loading(prepare_control(home).find_identity())
    replica.answer(passed=False, reason="3 of 64 answers differ")
    collector = MetricsCollector(SERVICE, replica)
    found = [collector.collect(rollout.record)[1].smoke for _ in range(3)]
    assert found == [False, False, False]
    assert replica.asked == 1
