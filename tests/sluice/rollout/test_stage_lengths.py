"""How long stages last: blocks are counted from 0, and the least of them is asked first."""

import numpy as np

from sluice.rollout.observation import open_histories, open_stage
from sluice.rollout.state import Phase, Verb
from support.rollouts.counts import LAPTOP, begin, drive


def test_a_stage_opens_with_no_block_counted_and_its_pass_test_in_the_middle() -> None:
    histories, baseline = open_histories(LAPTOP, [])
    for index in range(len(LAPTOP.stages)):
        observation = open_stage(LAPTOP, index, histories, baseline)
        assert observation.blocks == 0
        assert observation.waived == frozenset()
        for item in observation.evidence.values():
            assert (item.starts_at, item.rollback.blocks) == (20 // 2 + 1, 60)
            assert not item.has_begun


def test_a_healthy_shadow_advances_at_its_twentieth_block() -> None:
    steps = list(drive(begin(), np.random.default_rng(0), ticks=21))
    blocks = [item.state.observation.blocks for item in steps]
    assert blocks == [*range(20), 0]
    assert [item.state.phase for item in steps] == [Phase.SHADOW] * 20 + [Phase.CANARY]
    assert steps[-1].decision.verb is Verb.ADVANCE
    assert steps[-1].decision.reason.endswith("after 20 blocks")
