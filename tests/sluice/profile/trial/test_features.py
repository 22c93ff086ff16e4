"""How features become numbers is chosen by their content, with a reason in the YAML."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sluice.profile.document import write_document
from sluice.profile.draft import Draft, InitOptions, assign_roles, draft_service
from sluice.profile.facts.columns import ColumnFacts
from sluice.profile.facts.roles import Guess
from sluice.profile.trial.features import choose_encodings, count_words
from support.releases.runs import facts_of

N = 1200
DRAW = np.random.default_rng(8)
DAYS = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(DRAW.integers(0, 5 * 10**7, N), "s")
WORDS = ["late", "again", "broken", "kind", "quick", "lost", "found", "paid"]
ROWS = pd.DataFrame(
    {
        "row_id": np.arange(N),
        "called": DAYS,
        "opened": pd.Series(DAYS.strftime("%Y-%m-%d").to_numpy(), dtype="str"),
        "shop": pd.Series([f"s{at}" for at in DRAW.integers(0, 80, N)], dtype="str"),
        "hue": pd.Series(DRAW.choice(["red", "blue"], N), dtype="str"),
        "note": pd.Series([" ".join([*DRAW.choice(WORDS, 6), str(at)]) for at in range(N)]),
        "code": pd.Series([f"k-{at * 7}" for at in range(N)], dtype="str"),
        "size": DRAW.normal(size=N),
    }
).astype({"note": "str"})
ENCODINGS = {"called": "date", "opened": "date", "shop": "target", "note": "text"}


def describe(frame: pd.DataFrame) -> tuple[ColumnFacts, ...]:
    return facts_of(**{name: frame[name].tolist() for name in frame.columns})


def test_encodings_follow_the_content() -> None:
    found = choose_encodings(describe(ROWS), ROWS)
    assert {name: choice.encoding for name, choice in found.items()} == ENCODINGS
    assert found["shop"].reason == "80 different values: the target's mean by value"
    assert all(choice.reason for choice in found.values())


def test_words_are_counted_in_filled_cells() -> None:
    assert count_words(pd.Series(["a b c", None, "d"], dtype="str")) == 2.0
    assert count_words(pd.Series([None, None], dtype="str")) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("called", np.asarray(DAYS.hour >= 18)),
        ("called", np.asarray((DAYS.day_of_week == 0) | (DAYS.day_of_week == 3))),
        ("note", ROWS["note"].str.contains("broken").to_numpy()),
    ],
    ids=["hour", "weekday", "words"],
)
def test_what_only_a_date_or_a_word_tells_is_learned(name: str, truth: np.ndarray) -> None:  # type: ignore[type-arg]
    """Neither seconds since 1970 nor codes of whole texts can express any of these."""
    flipped = DRAW.random(N) < 0.05
    frame = ROWS[["row_id", "size", name]].assign(y=(truth ^ flipped).astype(int))
    draft = draft_of(frame)
    assert draft.data.encodings == {name: ENCODINGS[name]}
    assert (draft.trial.primary.model.value or 0.0) > 0.8
    lines = write_document(draft).partition("  encodings:\n")[2].splitlines()
    assert lines[0].startswith(f"    {name}: {ENCODINGS[name]} ")
    assert lines[0].endswith(f"# {draft.encodings[name].reason}")


def draft_of(frame: pd.DataFrame, time: str = "") -> Draft:
    columns = describe(frame)
    options = InitOptions("y", id="row_id", positive="1", time=time)
    roles = assign_roles(columns, options, "file.csv")
    roles = replace(roles, time=Guess(time, "as given"), reason="nobody is audited here")
    return draft_service("calls", "file.csv", frame, columns, roles)


@pytest.mark.slow
def test_the_time_is_a_feature_by_its_calendar_where_that_helps() -> None:
    flipped = DRAW.random(N) < 0.05
    late = np.asarray(DAYS.hour >= 18)
    frame = ROWS[["row_id", "size", "called"]].assign(y=(late ^ flipped).astype(int))
    draft = draft_of(frame, "called")
    assert draft.data.features == ("size", "called")
    assert draft.data.encodings == {"called": "calendar"}
    assert "called" not in draft.left_out
    assert "hour: auc 0." in draft.encodings["called"].reason


@pytest.mark.slow
def test_the_time_is_no_feature_where_its_calendar_does_not_help() -> None:
    likely = 1 / (1 + np.exp(-2 * ROWS["size"]))
    frame = ROWS[["row_id", "size", "called"]].assign(y=(DRAW.random(N) < likely).astype(int))
    assert draft_of(frame, "called").data.features == ("size",)
