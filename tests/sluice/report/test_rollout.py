"""A rollout's page shows limits only where there is something that they are limits of."""

from sluice.config.rollout import RouteConfig
from sluice.report.rollout import write_page
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Rollout, start
from support.rollouts.counts import LAPTOP, begin


def limits_of(state: Rollout) -> set[str]:
    course = RolloutRecord("shop", 1, 1, 2, LAPTOP, RouteConfig(), "salt", state)
    table = write_page(course, ()).partition("## Evidence")[2].partition("Evidence is")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| error")]
    return {row[3] for row in rows}


def test_limit_of_a_champion_that_was_not_seen_is_none_yet() -> None:
    assert limits_of(start(LAPTOP, [])) == {"none yet"}


def test_limit_beside_a_champion_that_was_seen_is_a_rate() -> None:
    assert all(limit.endswith("%") for limit in limits_of(begin()))
