"""Changes of texts: nothing is lost, what is the same is the same, and few parts are shown."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sluice.prompts.differences.words import divide_words, join_changes, shorten_changes

TEXTS = st.text(alphabet="ab \n", max_size=60)
LONG = " ".join(f"word{number}" for number in range(80))


@given(TEXTS, TEXTS)
def test_the_parts_are_the_two_texts(before: str, after: str) -> None:
    parts = join_changes(divide_words(before), divide_words(after))
    assert "".join(word for _, old, _ in parts for word in old) == before
    assert "".join(word for _, _, new in parts for word in new) == after
    assert all(old == new for same, old, new in parts if same)
    kinds = [same for same, _, _ in parts]
    assert all(one != other for one, other in pairwise(kinds))


def test_a_sentence_that_was_written_anew_is_one_change() -> None:
    before = "Residents may ask for a pass at the station"
    after = "People living on the bank get a permit from the city hall"
    parts = join_changes(divide_words(before), divide_words(after))
    assert [same for same, _, _ in parts] == [False]


def test_one_word_in_a_long_text_is_a_change_of_that_word() -> None:
    parts = join_changes(divide_words(LONG), divide_words(LONG.replace("word40", "other")))
    assert [(old, new) for same, old, new in parts if not same] == [(("word40",), ("other",))]
    assert shorten_changes(parts, 2) == (
        "... word38 word39 word40 word41 word42 ...",
        "... word38 word39 other word41 word42 ...",
    )


def test_what_is_short_is_shown_whole() -> None:
    parts = join_changes(divide_words("a b c d"), divide_words("a b x d"))
    assert shorten_changes(parts, 4) == ("a b c d", "a b x d")
