"""What each phase means for the route, the registry and the lease."""

from dataclasses import replace

import pytest

from sluice.config.rollout import RouteConfig
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase
from support.rollouts.counts import LAPTOP, run_to

CANARY = run_to(Phase.CANARY)
STAGED = {Phase.SHADOW, Phase.CANARY, Phase.HOLDING, Phase.FROZEN, Phase.PAUSED}
FINAL = {Phase.DONE, Phase.ROLLED_BACK, Phase.ABORTED}


@pytest.mark.parametrize("phase", list(Phase))
def test_a_phase_is_staged_or_final_or_neither(phase: Phase) -> None:
    assert (phase.is_staged, phase.is_final) == (phase in STAGED, phase in FINAL)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_record_says_which_version_serves_and_whether_the_candidate_failed(phase: Phase) -> None:
    state = replace(CANARY, phase=phase)
    record = RolloutRecord("employment", 1, 3, 4, LAPTOP, RouteConfig(), "salt", state)
    assert record.is_serving is (phase in (Phase.SOAK, Phase.DONE))
    assert record.is_beaten is (phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK))


@pytest.mark.parametrize("phase", list(Phase))
def test_the_candidate_has_its_weight_only_where_it_may_serve(phase: Phase) -> None:
    weight = replace(CANARY, phase=phase).weight(LAPTOP)
    if phase in (Phase.SOAK, Phase.DONE):
        assert weight == 1.0
    else:
        assert weight == (0.05 if phase in STAGED - {Phase.FROZEN} else 0.0)


@pytest.mark.parametrize("phase", list(Phase))
def test_the_lease_is_renewed_until_the_end_or_the_third_missed_tick(phase: Phase) -> None:
    renewed = [replace(CANARY, phase=phase, missed_ticks=n).renews for n in range(5)]
    assert renewed == ([False] * 5 if phase in FINAL else [True, True, True, False, False])
