"""Recorded counts are split between the arms as they were, and a bad file is refused by line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sluice.config.loading import load_policy
from sluice.errors import DataInvalid
from sluice.rollout.simulation.recorded import RecordedArrivals, Recording, read_recording
from sluice.rollout.simulation.rollouts import RolloutEnding, Simulation, simulate
from sluice.rollout.simulation.traffic import Regression, Traffic

HEADER = "block,n_c,k_c,n_b,k_b\n"


def record(blocks: int = 300) -> Recording:
    """A service whose error rate moves by a third from block to block, with a bad quarter-hour."""
    rng = np.random.default_rng(4)
    rates = 0.01 * rng.lognormal(0, 0.3, blocks)
    rates[100:115] = 0.2
    n = rng.poisson(3000, blocks)
    zero = np.zeros(blocks, dtype=np.int64)
    return Recording(np.stack([zero, zero, n, rng.binomial(n, rates)], axis=1))


def test_arms_share_what_was_recorded() -> None:
    recording = record()
    arrivals = RecordedArrivals(recording, Traffic(), 3, np.random.default_rng(1))
    arrivals.open_stage(0.25, 10)
    runs = np.arange(3)
    start = arrivals.at.copy()
    counts = arrivals.draw(runs, np.zeros(3))
    np.testing.assert_array_equal(counts.n_c + counts.n_b, recording.counts[start, 2])
    np.testing.assert_array_equal(counts.k_c + counts.k_b, recording.counts[start, 3])
    assert (arrivals.at == (start + 1) % 300).all()


def test_recorded_incidents_do_not_blame_a_healthy_candidate() -> None:
    stages = load_policy("standard").stages[1:2]
    policy = load_policy("standard").model_copy(update={"stages": stages})
    simulation = Simulation(policy, Traffic(), 100, seed=1, recording=record(), soak=False)
    assert simulate(simulation).share(RolloutEnding.ROLLED_BACK) <= 0.01
    bad = Simulation(
        policy, Traffic(regression=Regression(0.03)), 100, seed=1, recording=record(), soak=False
    )
    assert simulate(bad).share(RolloutEnding.ROLLED_BACK) >= 0.95


def write_rollout(regression: float, blocks: int = 400) -> Recording:
    """An hour of the champion alone, then a candidate at 5 % that fails so much more."""
    rng = np.random.default_rng(6)
    n_c = np.where(np.arange(blocks) < 60, 0, 150)
    n_b = 3000 - n_c
    k_c, k_b = rng.binomial(n_c, 0.01 + regression), rng.binomial(n_b, 0.01)
    return Recording(np.stack([n_c, k_c, n_b, k_b], axis=1))


def test_recorded_candidate_is_judged_block_by_block_as_it_was() -> None:
    policy = load_policy("standard")
    policy = policy.model_copy(update={"stages": (policy.stages[1],)})
    bad, good = write_rollout(0.02), write_rollout(0.0)
    simulation = Simulation(policy, Traffic(), 1, recording=bad, replay=True, soak=False)
    outcome = simulate(simulation)
    assert outcome.share(RolloutEnding.ROLLED_BACK) == 1
    rows = round(float(outcome.seconds[0]) / policy.block)
    assert outcome.exposed[0] == bad.counts[60 : 60 + rows, 0].sum()
    assert simulate(replace(simulation, recording=good)).share(RolloutEnding.PROMOTED) == 1
    assert outcome.seconds[0] == simulate(replace(simulation, seed=9)).seconds[0]


def test_replay_that_runs_out_of_rows_proves_nothing() -> None:
    policy = load_policy("standard")
    short = Recording(write_rollout(0.0).counts[:100])
    simulation = Simulation(policy, Traffic(), 1, recording=short, replay=True)
    assert simulate(simulation).share(RolloutEnding.HELD) == 1
    assert simulation.untested == {"quarter": ("latency_margin",), "half": ("latency_margin",)}


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(HEADER + "0,5,1,100,2\n1,0,0,100,0\n", encoding="utf-8")
    recording = read_recording(path)
    assert recording.counts.tolist() == [[5, 1, 100, 2], [0, 0, 100, 0]]
    assert recording.rate == 0.01


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("block,n_c,k_c,n_b\n0,0,0,1\n", "no column 'k_b'; needed: block, n_c, k_c, n_b, k_b"),
        (HEADER, "holds no row"),
        (HEADER + "0,0,0,100,-1\n", "counts.csv:2: k_b: found '-1'; allowed: a whole number"),
        (HEADER + "0,0,0,9,1\n1,0,0,9,10\n", "counts.csv:3: k_b: found 10; allowed: up to n_b (9)"),
        (HEADER + "0,1,0\n", "counts.csv:2: n_b: found ''; allowed: a whole number"),
        (HEADER + "0,1,0,0,0\n", "n_b is 0 in every row"),
    ],
)
def test_bad_file_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataInvalid) as refused:
        read_recording(path)
    assert words in str(refused.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="cannot be read as CSV"):
        read_recording(tmp_path / "none.csv")
