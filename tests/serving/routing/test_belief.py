"""What a replica believes: the champion at once, a candidate under a lease that it saw alive."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from serving.routing.model_table import RouteState
from sluice.control.route import Mode, Route

TTL = 6.0
CANARY = Route(
    "employment", 3, 4, 0.25, (0.05, 0.25), salt="s", mode=Mode.CANARY, epoch=7, ttl=TTL, renewal=5
)
RENEWED = replace(CANARY, renewal=6)


def watch(*looks: tuple[float, Route | None]) -> RouteState:
    belief = RouteState()
    for now, route in looks:
        belief = belief.see(route, now)
    return belief


def test_before_any_look_nobody_is_believed() -> None:
    belief = watch((0, None))
    assert (belief.champion, belief.candidate(0), belief.weight(0)) == (None, None, 0.0)
    assert belief.reason(0) == "no route was read yet"


def test_a_fresh_replica_believes_the_champion_and_waits_for_a_renewal() -> None:
    belief = watch((0, CANARY), (1, CANARY), (2, CANARY))
    assert (belief.champion, belief.candidate(2), belief.weight(2)) == (3, None, 0.0)
    assert belief.reason(2) == "this replica waits for a first renewal of epoch 7"


def test_a_renewal_before_its_eyes_gives_the_candidate_its_weight() -> None:
    belief = watch((0, CANARY), (1, RENEWED))
    assert (belief.candidate(1), belief.weight(1), belief.reason(1)) == (4, 0.25, "")


def test_a_new_epoch_before_its_eyes_is_a_sign_of_life_too() -> None:
    belief = watch((0, Route("employment", 3, epoch=6)), (1, CANARY))
    assert belief.weight(1) == 0.25


def test_without_renewal_the_candidate_gets_nothing_after_the_ttl() -> None:
    belief = watch((0, CANARY), (1, RENEWED), (3, RENEWED), (6.9, RENEWED))
    assert belief.weight(6.9) == 0.25
    assert (belief.weight(7.0), belief.candidate(7.0), belief.champion) == (0.0, None, 3)
    assert belief.reason(7.5) == "no renewal of epoch 7 for 6.5 s, ttl 6 s"


def test_the_store_away_keeps_the_champion_and_lets_the_lease_lapse() -> None:
    belief = watch((0, CANARY), (1, RENEWED), *((2.0 + second, None) for second in range(30)))
    assert belief.champion == 3
    assert belief.weight(6.9) == 0.25
    assert belief.candidate(32) is None


def test_a_lapsed_lease_comes_back_with_the_next_renewal() -> None:
    lapsed = [(1.0 + second, RENEWED) for second in range(20)]
    belief = watch((0, CANARY), *lapsed, (21, replace(CANARY, renewal=7)))
    assert belief.weight(21) == 0.25


def test_a_renewal_from_a_long_absence_counts_from_before_it() -> None:
    """It may have come at any time while the store was away: a controller that died since."""
    belief = watch((0, CANARY), (1, RENEWED), (100, replace(CANARY, renewal=60)))
    assert belief.candidate(100) is None
    assert belief.see(replace(CANARY, renewal=61), 101).weight(101) == 0.25


def test_a_zombies_epoch_changes_nothing() -> None:
    belief = watch((0, CANARY), (1, RENEWED))
    zombie = replace(CANARY, epoch=6, renewal=900, weight=0.9, champion=1)
    after = belief.see(zombie, 2)
    assert (after.champion, after.weight(2)) == (3, 0.25)
    assert after.weight(7.0) == 0.0
    assert after.reason(7.0).endswith("; the store now shows epoch 6, older")


def test_a_counter_that_went_back_is_no_renewal() -> None:
    belief = watch((0, CANARY), (1, replace(CANARY, renewal=4)))
    assert belief.candidate(1) is None


def test_in_shadow_there_is_a_candidate_and_no_weight() -> None:
    shadow = replace(CANARY, mode=Mode.SHADOW, weight=0.0)
    belief = watch((0, shadow), (1, replace(shadow, renewal=6)))
    assert (belief.candidate(1), belief.weight(1)) == (4, 0.0)


def test_a_rollback_is_obeyed_at_once_and_needs_no_lease() -> None:
    belief = watch((0, CANARY), (1, RENEWED), (2, replace(RENEWED.follow(3), epoch=8, renewal=0)))
    assert (belief.champion, belief.candidate(2), belief.reason(2)) == (3, None, "")


def test_a_promotion_is_obeyed_by_a_fresh_replica() -> None:
    assert watch((0, CANARY.follow(4))).champion == 4


def test_the_start_of_the_clock_does_not_matter() -> None:
    """Monotonic seconds count from anywhere; below nought too."""
    belief = watch((-1000, CANARY), (-999, RENEWED))
    assert belief.weight(-999) == 0.25
    assert belief.weight(-993) == 0.0


def test_a_wall_clock_that_jumps_is_never_asked() -> None:
    from serving.routing import model_table as belief
    from sluice.control import route

    for module in (belief, route):
        assert not {"time", "datetime", "monotonic"} & set(vars(module))


STEPS = ("renew", "stay", "away", "renewed unseen", "zombie", "swap", "back")


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from(STEPS)),
        max_size=60,
    )
)
def test_no_candidate_longer_than_the_ttl_after_a_sign_of_life(
    steps: list[tuple[float, str]],
) -> None:
    """Whatever is seen in whichever order: past ttl + a third of it, without a sign, none."""
    now, kept, belief = 0.0, CANARY, RouteState().see(CANARY, 0.0)
    sign = float("-inf")
    for wait, step in steps:
        now += wait
        if step in ("renew", "renewed unseen"):
            kept, sign = replace(kept, renewal=kept.renewal + 1), now
        elif step == "swap":
            kept, sign = replace(kept, epoch=kept.epoch + 1, renewal=0), now
        seen = {
            "away": None,
            "renewed unseen": None,
            "zombie": replace(kept, epoch=kept.epoch - 1, renewal=99),
            "back": replace(kept, renewal=kept.renewal - 1),
        }.get(step, kept)
        before = belief
        belief = belief.see(seen, now)
        assert belief.champion == 3
        if belief.candidate(now) is not None:
            assert now - sign <= TTL * 4 / 3 + 1e-9
        if step in ("away", "zombie"):
            assert belief.candidate(now) == before.candidate(now)
