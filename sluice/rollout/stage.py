"""One rule's evidence in one stage: what is known before a block, and what the block adds."""

from dataclasses import dataclass, replace

import numpy as np

from sluice.rollout.boundary import Boundary
from sluice.rollout.evidence import Block
from sluice.rollout.history import Clustering, History, measure_clustering
from sluice.rollout.passing import PassTest
from sluice.rollout.rollback import RollbackTest


@dataclass(frozen=True)
class StageEvidence:
    """The champion's history, the roll-back test, and the pass test from `starts_at` on.

    Everything that goes into a block's evidence comes from blocks before it.
    """

    history: History
    rollback: RollbackTest
    passing: PassTest
    starts_at: int
    """The first block, counted from 1, that the pass test sees: floor(min / 2) + 1."""
    robust: bool = True
    """Whether correlated failures weigh less (the design effect)."""

    @classmethod
    def begin(
        cls, history: History, boundary: Boundary, blocks: int, starts_at: int, robust: bool = True
    ) -> "StageEvidence":
        """Open a stage of at most `blocks` blocks on the champion's history."""
        tests = RollbackTest(boundary, blocks), PassTest(boundary)
        return cls(history, *tests, starts_at, robust)

    @property
    def clustering(self) -> Clustering:
        """How the champion's failures cluster in all its past blocks."""
        return measure_clustering(self.history)

    @property
    def has_begun(self) -> bool:
        """Whether the pass test has seen a block."""
        return self.rollback.t >= self.starts_at

    def update(self, block: Block, counting: bool = True) -> "StageEvidence":
        """Give the evidence one block on.

        Before 500 champion requests are known the block only adds to the history. One that does
        not count (the rollout is paused) can only speak against the candidate: the wealth is
        played on, no tick passes, and the pass test does not see it.
        """
        history = self.history.append(block.n_b, block.k_b)
        if not np.all(self.history.is_known):
            return replace(self, history=history)
        rate = self.history.rate
        rho = self.clustering.rho if self.robust else np.zeros(())
        after = replace(
            self, history=history, rollback=self.rollback.update(block, rate, rho, counting)
        )
        if counting and after.has_begun:
            return replace(after, passing=self.passing.update(block, rate, rho))
        return after
