"""A rollout's page shows a limit only where the champion's rate is known."""

from sluice.config.rollout import RouteConfig
from sluice.report.rollout import write_page
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import RolloutState, start
from support.rollouts.counts import LAPTOP, begin


def limits_of(state: RolloutState) -> set[str]:
    record = RolloutRecord("shop", 1, 1, 2, LAPTOP, RouteConfig(), "salt", state)
    table = write_page(record, ()).partition("## Evidence")[2].partition("Evidence is")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| error")]
    return {row[3] for row in rows}


def test_limit_without_champion_traffic_is_none_yet() -> None:
    assert limits_of(start(LAPTOP, [])) == {"none yet"}


def test_limit_with_champion_traffic_is_a_rate() -> None:
    assert all(limit.endswith("%") for limit in limits_of(begin()))
