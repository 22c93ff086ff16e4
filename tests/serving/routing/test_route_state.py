"""A replica's route state: the champion at once, a candidate while it sees the lease renewed."""

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


def read_in_turn(*reads: tuple[float, Route | None]) -> RouteState:
    state = RouteState()
    for now, route in reads:
        state = state.update(route, now)
    return state


def test_before_any_read_there_is_no_version() -> None:
    state = read_in_turn((0, None))
    assert (state.champion, state.candidate(0), state.weight(0)) == (None, None, 0.0)
    assert state.reason(0) == "no route was read yet"


def test_a_fresh_replica_serves_the_champion_and_waits_for_a_renewal() -> None:
    state = read_in_turn((0, CANARY), (1, CANARY), (2, CANARY))
    assert (state.champion, state.candidate(2), state.weight(2)) == (3, None, 0.0)
    assert state.reason(2) == "this replica waits for a first renewal of epoch 7"


def test_a_renewal_that_it_sees_gives_the_candidate_its_weight() -> None:
    state = read_in_turn((0, CANARY), (1, RENEWED))
    assert (state.candidate(1), state.weight(1), state.reason(1)) == (4, 0.25, "")


def test_a_new_epoch_that_it_sees_counts_as_a_renewal_too() -> None:
    state = read_in_turn((0, Route("employment", 3, epoch=6)), (1, CANARY))
    assert state.weight(1) == 0.25


def test_without_renewal_the_candidate_gets_nothing_after_the_ttl() -> None:
    state = read_in_turn((0, CANARY), (1, RENEWED), (3, RENEWED), (6.9, RENEWED))
    assert state.weight(6.9) == 0.25
    assert (state.weight(7.0), state.candidate(7.0), state.champion) == (0.0, None, 3)
    assert state.reason(7.5) == "no renewal of epoch 7 for 6.5 s, ttl 6 s"


def test_an_unreachable_store_keeps_the_champion_and_the_lease_lapses() -> None:
    state = read_in_turn((0, CANARY), (1, RENEWED), *((2.0 + second, None) for second in range(30)))
    assert state.champion == 3
    assert state.weight(6.9) == 0.25
    assert state.candidate(32) is None


def test_a_lapsed_lease_comes_back_with_the_next_renewal() -> None:
    lapsed = [(1.0 + second, RENEWED) for second in range(20)]
    state = read_in_turn((0, CANARY), *lapsed, (21, replace(CANARY, renewal=7)))
    assert state.weight(21) == 0.25


def test_a_renewal_after_a_long_outage_counts_from_before_it() -> None:
    """It may have happened at any time during the outage, by a controller that died since."""
    state = read_in_turn((0, CANARY), (1, RENEWED), (100, replace(CANARY, renewal=60)))
    assert state.candidate(100) is None
    assert state.update(replace(CANARY, renewal=61), 101).weight(101) == 0.25


def test_the_epoch_of_a_replaced_controller_changes_nothing() -> None:
    state = read_in_turn((0, CANARY), (1, RENEWED))
    replaced = replace(CANARY, epoch=6, renewal=900, weight=0.9, champion=1)
    after = state.update(replaced, 2)
    assert (after.champion, after.weight(2)) == (3, 0.25)
    assert after.weight(7.0) == 0.0
    assert after.reason(7.0).endswith("; the store now shows epoch 6, older")


def test_an_epoch_that_is_behind_is_a_conflict_until_the_store_is_ahead_again() -> None:
    state = read_in_turn((0, CANARY), (1, replace(CANARY, epoch=3, champion=1)))
    assert (state.champion, state.stale) == (3, 3)
    assert "shows epoch 3, this replica knows epoch 7" in state.conflict
    assert "sluice accept-store employment --by NAME --reason WORDS" in state.conflict
    assert state.update(RENEWED, 2).conflict == ""
    accepted = state.update(replace(CANARY.follow(1), epoch=8), 2)
    assert (accepted.champion, accepted.conflict) == (1, "")


def test_another_route_of_the_same_epoch_is_a_conflict() -> None:
    other = replace(CANARY.follow(1), epoch=7, renewal=9)
    state = read_in_turn((0, CANARY), (1, other))
    assert (state.champion, state.weight(1)) == (3, 0.0)
    assert "shows another state of epoch 7, this replica knows epoch 7" in state.conflict


def test_a_route_that_the_store_lost_is_a_conflict() -> None:
    state = read_in_turn((0, CANARY)).lose()
    assert state.champion == 3
    assert "shows no route, this replica knows epoch 7" in state.conflict
    assert state.update(CANARY, 2).conflict == ""
    assert RouteState().lose().conflict == ""


def test_a_renewal_count_that_went_back_is_not_a_renewal() -> None:
    state = read_in_turn((0, CANARY), (1, replace(CANARY, renewal=4)))
    assert state.candidate(1) is None


def test_in_shadow_there_is_a_candidate_and_no_weight() -> None:
    shadow = replace(CANARY, mode=Mode.SHADOW, weight=0.0)
    state = read_in_turn((0, shadow), (1, replace(shadow, renewal=6)))
    assert (state.candidate(1), state.weight(1)) == (4, 0.0)


def test_a_rollback_counts_at_once_and_needs_no_lease() -> None:
    state = read_in_turn(
        (0, CANARY), (1, RENEWED), (2, replace(RENEWED.follow(3), epoch=8, renewal=0))
    )
    assert (state.champion, state.candidate(2), state.reason(2)) == (3, None, "")


def test_a_promotion_counts_for_a_fresh_replica() -> None:
    assert read_in_turn((0, CANARY.follow(4))).champion == 4


def test_the_start_of_the_clock_does_not_matter() -> None:
    """Monotonic seconds may begin anywhere, also below 0."""
    state = read_in_turn((-1000, CANARY), (-999, RENEWED))
    assert state.weight(-999) == 0.25
    assert state.weight(-993) == 0.0


def test_the_wall_clock_is_never_read() -> None:
    from serving.routing import model_table
    from sluice.control import route

    for module in (model_table, route):
        assert not {"time", "datetime", "monotonic"} & set(vars(module))


STEPS = ("renew", "stay", "away", "renewed unseen", "replaced", "swap", "back")


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from(STEPS)),
        max_size=60,
    )
)
def test_no_candidate_longer_than_the_ttl_after_a_renewal(
    steps: list[tuple[float, str]],
) -> None:
    """For any sequence of reads: later than 4/3 ttl after the last renewal there is none."""
    now, stored, state = 0.0, CANARY, RouteState().update(CANARY, 0.0)
    renewed = float("-inf")
    for wait, step in steps:
        now += wait
        if step in ("renew", "renewed unseen"):
            stored, renewed = replace(stored, renewal=stored.renewal + 1), now
        elif step == "swap":
            stored, renewed = replace(stored, epoch=stored.epoch + 1, renewal=0), now
        read = {
            "away": None,
            "renewed unseen": None,
            "replaced": replace(stored, epoch=stored.epoch - 1, renewal=99),
            "back": replace(stored, renewal=stored.renewal - 1),
        }.get(step, stored)
        before = state
        state = state.update(read, now)
        assert state.champion == 3
        if state.candidate(now) is not None:
            assert now - renewed <= TTL * 4 / 3 + 1e-9
        if step in ("away", "replaced"):
            assert state.candidate(now) == before.candidate(now)
