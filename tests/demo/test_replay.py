"""What a replay plans and counts, before any gateway is asked."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kstest

from demo.caller import Audience, plan_moments
from demo.replay import parse_plan
from demo.tally import ReplayTally


def test_the_same_seed_gives_the_same_askers() -> None:
    for users in (0, 50):
        first, again, other = (Audience(200, users, seed) for seed in (1, 1, 2))
        taken = [first.take() for _ in range(500)]
        assert taken == [again.take() for _ in range(500)]
        assert taken != [other.take() for _ in range(500)]


def test_without_users_each_asker_is_new_and_each_row_is_asked_as_often() -> None:
    audience = Audience(100, 0, 1)
    taken = [audience.take() for _ in range(300)]
    assert len({asker.unit for asker in taken}) == 300
    assert set(Counter(asker.row for asker in taken).values()) == {3}


def test_with_users_few_ask_often_and_each_about_a_row_of_their_own() -> None:
    audience = Audience(1000, 500, 1)
    taken = [audience.take() for _ in range(20_000)]
    rows: dict[str, set[int]] = {}
    for asker in taken:
        rows.setdefault(asker.unit, set()).add(asker.row)
    assert {len(found) for found in rows.values()} == {1}
    counts = sorted(Counter(asker.unit for asker in taken).values(), reverse=True)
    assert len(counts) <= 500
    assert sum(counts[:50]) > 10_000


def test_even_moments_have_even_gaps_and_end_in_time() -> None:
    moments = list(plan_moments(50, 2, poisson=False, seed=1))
    assert len(moments) == 100
    assert np.allclose([b - a for a, b in pairwise(moments)], 0.02)
    assert moments[-1] < 2


def test_independent_callers_come_in_exponential_gaps() -> None:
    moments = list(plan_moments(50, 100, poisson=True, seed=1))
    gaps = [b - a for a, b in pairwise(moments)]
    assert kstest(gaps, "expon", args=(0, 1 / 50)).pvalue > 0.01
    assert moments == list(plan_moments(50, 100, poisson=True, seed=1))


def test_table_shows_each_arm_and_version_and_all_together() -> None:
    tally = ReplayTally(sent=5)
    for milliseconds, right in ((1.0, True), (3.0, False)):
        tally.count_answer(("champion", 1), milliseconds, right)
    tally.count_answer(("candidate", 1), 9.0, True)
    tally.errors["503"] += 2
    rows = tally.build_rows(judged=True)
    assert [(row["assigned arm"], row["answered by"], row["answers"]) for row in rows] == [
        ("candidate", "v1", "1"),
        ("champion", "v1", "2"),
        ("all", "", "3"),
    ]
    assert [row["right"] for row in rows] == ["100.0%", "50.0%", "66.7%"]
    assert rows[1]["p50 ms"] == "2.0"
    assert tally.conclude()[0] == "sent 5, answered 3; errors 503: 2"
    assert "right" not in tally.build_rows(judged=False)[0]


def test_line_of_progress_shows_times_since_the_last_one() -> None:
    tally = ReplayTally()
    tally.count_answer(("champion", 1), 100.0, True)
    assert "p50 100.0 ms" in tally.take_line(1, 60)
    tally.count_answer(("champion", 1), 2.0, True)
    line = tally.take_line(2, 60)
    assert "p50 2.0 ms" in line
    assert "(champion 2)" in line
    assert "p50 nan ms" in tally.take_line(3, 60)


@pytest.mark.parametrize("wrong", [["--rps=0"], ["--seconds=-1"], ["--feedback=2"], ["--users=-1"]])
def test_what_cannot_be_replayed_is_refused(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_plan(["employment", *wrong])
    assert "allowed" in capsys.readouterr().err


def test_what_was_counted_can_be_kept_as_json() -> None:
    tally = ReplayTally(sent=3, told=1)
    tally.count_answer(("champion", 1), 1.0, True)
    tally.count_answer(("champion", 1), 3.0, False)
    tally.errors["503"] += 1
    found = json.loads(tally.write_json())
    assert found["sources"] == [{"arm": "champion", "version": 1, "answers": 2, "right": 1}]
    assert (found["sent"], found["told"], found["errors"]) == (3, 1, {"503": 1})
