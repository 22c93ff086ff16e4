"""The parts of a text that an injection detector looks at, and what it reports of them."""

import base64
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.guardrails.injection import PART, STEP, InjectionDetector, cut_parts
from sluice.guardrails.inspection import inspect_text


def classify(texts: Sequence[str]) -> list[bool]:
    return ["attack" in text for text in texts]


DETECT = InjectionDetector(classify)


@settings(deadline=None)  # a busy machine
@given(st.text("ab \n", max_size=3000) | st.integers(0, 400).map(lambda n: "word " * n))
def test_the_parts_hold_every_word_and_are_short(text: str) -> None:
    parts = cut_parts(text)
    words = [text[start:end].split() for start, end in parts]
    assert all(0 < len(found) <= PART for found in words)
    joined: list[str] = words[0] if words else []
    for found in words[1:]:
        joined = joined + found[PART - STEP :]
    assert joined == text.split()


def test_a_text_without_words_asks_nothing() -> None:
    def fail(texts: Sequence[str]) -> list[bool]:
        raise AssertionError

    assert list(InjectionDetector(fail)(" \n\t")) == []


@pytest.mark.parametrize("place", [0, 30, 59, 60, 100, 299])
def test_one_word_in_a_long_text_is_found_where_it_stands(place: int) -> None:
    words = [f"w{at}" for at in range(300)]
    words[place] = "attack"
    text = " ".join(words)
    [(start, end)] = DETECT(text)
    assert "attack" in text[start:end]
    assert len(text[start:end].split()) <= 2 * PART


def test_what_is_decoded_or_joined_is_looked_at_too() -> None:
    coded = base64.b64encode(b"an attack is in here").decode()
    readings = [hit.reading for hit in inspect_text(f"See: {coded}", ("injection",), DETECT)]
    assert readings == ["base64"]
    split = "\n".join([coded[:12], coded[12:]])
    assert "base64" in [hit.reading for hit in inspect_text(split, ("injection",), DETECT)]
    [joined] = inspect_text("an atta\nck is here", ("injection",), DETECT)
    assert joined.reading == "joined lines"


def test_two_places_far_apart_are_two_hits() -> None:
    text = f"attack {'word ' * 300} attack"
    hits = inspect_text(text, ("injection",), DETECT)
    assert [hit.rule for hit in hits] == ["injection", "injection"]
    assert hits[0].start == 0
    assert hits[1].end == len(text)
