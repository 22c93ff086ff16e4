"""The counts of a replay read well also where nothing was answered."""

import pytest

from demo.tally import ReplayTally


def test_a_second_without_answers_has_no_times() -> None:
    tally = ReplayTally(sent=9)
    tally.errors["503"] = 9
    assert tally.take_line(1, 60.0) == (
        "   1 s of 60  sent 9  answered 0 (none)  errors 9  no answer  feedback 0"
    )
    tally.count_answer(("champion", 1), 4.0, right=True)
    assert "p50 4.0 ms  p95 4.0 ms" in tally.take_line(2, 60.0)
    assert "no answer" in tally.take_line(3, 60.0)


@pytest.mark.parametrize("scored", [True, False])
def test_a_replay_without_answers_has_no_figures(scored: bool) -> None:
    (row,) = ReplayTally(sent=9).build_rows(scored)
    figures = {name: text for name, text in row.items() if name not in ("assigned arm", "answers")}
    assert (row["answers"], set(figures.values())) == ("0", {"", "-"})
