"""What an exported entry of a gateway's counters says of an arm."""

from sluice.rollout.collection import PARTS, PLAIN, read_entry
from sluice.rollout.facts import Arm


def test_every_count_is_read_under_its_own_name() -> None:
    counts = {name: number for number, name in enumerate(PLAIN, 10)}
    arm = read_entry({**counts, "cost": 0, "lack": 0, "latencies": {}})
    assert {name: getattr(arm, name) for name in PLAIN} == counts


def test_costs_and_lacks_are_exported_in_millionths() -> None:
    assert PARTS == 1_000_000
    zero = dict.fromkeys(PLAIN, 0)
    arm = read_entry({**zero, "cost": 2_500_000, "lack": 750_000, "latencies": {"300": 4}})
    assert arm == Arm(cost=2.5, lack=0.75, latencies={300: 4.0})
