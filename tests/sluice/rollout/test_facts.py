"""Counters become facts, impossible counts are named, and facts come back from a log unchanged."""

import json
from dataclasses import replace
from math import inf, nan

import pytest

from sluice.rollout.collection import PARTS, PLAIN, read_entry
from sluice.rollout.facts import Arm, Facts, Units, read_arm, read_facts, write_arm, write_facts

WHOLES = {
    "failures": "requests",
    "guardrails": "requests",
    "negatives": "feedbacks",
    "cost": "priced",
    "lack": "valued",
    "differing": "compared",
    "unit_failures": "units",
}


@pytest.mark.parametrize("part", WHOLES)
def test_a_part_is_at_most_its_whole_but_for_rounding(part: str) -> None:
    whole = WHOLES[part]
    for value in (0.0, 99.0, 100.0, 100.0 + 1e-8):
        assert Arm(**{whole: 100.0, part: value}).problem == ""
    assert Arm(**{whole: 100.0, part: 101.0}).problem == f"{part} (101) exceed {whole} (100)"
    assert Arm(**{whole: 100.0, part: 100.0 + 1e-6}).problem != ""


@pytest.mark.parametrize("value", [nan, inf, -1.0])
def test_a_count_that_is_no_number_from_0_on_is_named(value: float) -> None:
    assert Arm(feedbacks=value).problem == f"feedbacks is {value:g}"
    assert Arm(latencies={300: 5.0, 301: value}).problem == f"latencies is {value:g}"
    assert Arm().problem == ""


def test_facts_without_an_arm_say_why() -> None:
    arm = Arm(requests=5.0)
    assert Facts(arm, arm).problem == ""
    assert Facts(arm, None).problem == "counters could not be read"
    assert Facts(None, arm, missing="b: away").problem == "b: away"
    assert Facts(arm, arm, missing="c: away").problem == ""
    assert Facts(Arm(failures=1.0), arm).problem == "candidate: failures (1) exceed requests (0)"
    assert Facts(arm, Arm(cost=-2.0)).problem == "champion: cost is -2"


@pytest.mark.parametrize("alarm", [-inf, inf, 0.0, 2.5])
def test_facts_come_back_from_a_log(alarm: float) -> None:
    arm = Arm(requests=5.0, failures=0.5, latencies={-3: 1.0, 300: 4.0}, unit_failures=inf)
    facts = Facts(
        arm, Arm(), 7, Units(4, 90), tripped=True, champion_alarm=alarm, smoke=False, missing="c"
    )
    for item in (facts, Facts(), replace(facts, candidate=None, smoke=None, fair_salt=True)):
        text = json.dumps(write_facts(item), allow_nan=False)
        assert read_facts(json.loads(text)) == item
    assert read_arm(json.loads(json.dumps(write_arm(arm), allow_nan=False))) == arm


def test_every_count_is_read_under_its_own_name() -> None:
    counts = {name: number for number, name in enumerate(PLAIN, 10)}
    arm = read_entry({**counts, "cost": 0, "lack": 0, "latencies": {}})
    assert {name: getattr(arm, name) for name in PLAIN} == counts


def test_costs_and_lacks_are_exported_in_millionths() -> None:
    assert PARTS == 1_000_000
    zero = dict.fromkeys(PLAIN, 0)
    arm = read_entry({**zero, "cost": 2_500_000, "lack": 750_000, "latencies": {"300": 4}})
    assert arm == Arm(cost=2.5, lack=0.75, latencies={300: 4.0})
