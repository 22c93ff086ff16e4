"""What a block of the fewest requests says."""

import pytest

from sluice.rollout.evidence import Block, Boundary, Side, measure_block


@pytest.mark.parametrize(
    ("n_c", "n_b", "empty"), [(1, 1, False), (0, 1, True), (1, 0, True), (0, 0, True)]
)
def test_one_request_of_each_arm_is_enough_for_a_block(n_c: int, n_b: int, empty: bool) -> None:
    block = Block(n_c, n_c, n_b, 0)
    assert bool(block.is_empty) is empty
    evidence = float(measure_block(block, Boundary(1, 0.005), Side.ABOVE, 0.03, 0.01))
    assert (evidence == 0) is empty


def test_correlated_failures_leave_a_single_request_its_weight() -> None:
    """The design effect is 1 + (n - 1) rho: of 101 requests at rho .02 it leaves a third."""
    found = Block(1, 1, 101, 6).deflate(0.02)
    assert (float(found.n_c), float(found.k_c)) == (1, 1)
    assert (float(found.n_b), float(found.k_b)) == pytest.approx((101 / 3, 2))
