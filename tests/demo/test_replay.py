"""The plan and the counts of a replay, without a gateway."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kstest

from demo.caller import RequestStream, plan_times
from demo.replay import parse_plan
from demo.tally import ReplayTally


def test_the_same_seed_gives_the_same_requests() -> None:
    for users in (0, 50):
        first, again, other = (RequestStream(200, users, seed) for seed in (1, 1, 2))
        taken = [first.take() for _ in range(500)]
        assert taken == [again.take() for _ in range(500)]
        assert taken != [other.take() for _ in range(500)]


def test_without_users_each_unit_is_new_and_each_row_is_sent_as_often() -> None:
    stream = RequestStream(100, 0, 1)
    taken = [stream.take() for _ in range(300)]
    assert len({request.unit for request in taken}) == 300
    assert set(Counter(request.row for request in taken).values()) == {3}


def test_with_users_few_send_often_and_each_sends_its_own_row() -> None:
    stream = RequestStream(1000, 500, 1)
    taken = [stream.take() for _ in range(20_000)]
    rows: dict[str, set[int]] = {}
    for request in taken:
        rows.setdefault(request.unit, set()).add(request.row)
    assert {len(found) for found in rows.values()} == {1}
    counts = sorted(Counter(request.unit for request in taken).values(), reverse=True)
    assert len(counts) <= 500
    assert sum(counts[:50]) > 10_000


def test_even_times_have_even_gaps_and_end_in_time() -> None:
    times = list(plan_times(50, 2, poisson=False, seed=1))
    assert len(times) == 100
    assert np.allclose([b - a for a, b in pairwise(times)], 0.02)
    assert times[-1] < 2


def test_independent_callers_come_in_exponential_gaps() -> None:
    times = list(plan_times(50, 100, poisson=True, seed=1))
    gaps = [b - a for a, b in pairwise(times)]
    assert kstest(gaps, "expon", args=(0, 1 / 50)).pvalue > 0.01
    assert times == list(plan_times(50, 100, poisson=True, seed=1))


def test_table_shows_each_arm_and_version_and_all_together() -> None:
    tally = ReplayTally(sent=5)
    for milliseconds, right in ((1.0, True), (3.0, False)):
        tally.count_answer(("champion", 1), milliseconds, right)
    tally.count_answer(("candidate", 1), 9.0, True)
    tally.errors["503"] += 2
    rows = tally.build_rows(scored=True)
    assert [(row["assigned arm"], row["answered by"], row["answers"]) for row in rows] == [
        ("candidate", "v1", "1"),
        ("champion", "v1", "2"),
        ("all", "", "3"),
    ]
    assert [row["right"] for row in rows] == ["100.0%", "50.0%", "66.7%"]
    assert rows[1]["p50 ms"] == "2.0"
    assert tally.conclude()[0] == "sent 5, answered 3; errors 503: 2"
    assert "right" not in tally.build_rows(scored=False)[0]


def test_line_of_progress_shows_times_since_the_last_one() -> None:
    tally = ReplayTally()
    tally.count_answer(("champion", 1), 100.0, True)
    assert "p50 100.0 ms" in tally.take_line(1, 60)
    tally.count_answer(("champion", 1), 2.0, True)
    line = tally.take_line(2, 60)
    assert "p50 2.0 ms" in line
    assert "(champion 2)" in line
    assert "no answer" in tally.take_line(3, 60)


@pytest.mark.parametrize("wrong", [["--rps=0"], ["--seconds=-1"], ["--feedback=2"], ["--users=-1"]])
def test_an_invalid_plan_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_plan(["employment", *wrong])
    assert "allowed" in capsys.readouterr().err


def test_counts_can_be_written_as_json() -> None:
    tally = ReplayTally(sent=3, feedback_sent=1)
    tally.count_answer(("champion", 1), 1.0, True)
    tally.count_answer(("champion", 1), 3.0, False)
    tally.errors["503"] += 1
    found = json.loads(tally.write_json())
    assert found["sources"] == [{"arm": "champion", "version": 1, "answers": 2, "right": 1}]
    assert (found["sent"], found["feedback"], found["errors"]) == (3, 1, {"503": 1})
