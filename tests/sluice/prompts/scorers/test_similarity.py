"""Similarity: an interface that is handed in, and TF-IDF where there is no embedding model."""

from sluice.prompts.scorers.scoring import JudgedAnswer, ScoringParts
from sluice.prompts.scorers.similarity import TfidfSimilarity, score_similarity

CORPUS = ["The parcel arrived on Monday.", "The invoice is wrong.", "I cannot sign in."]


def test_the_same_text_is_1_and_an_unlike_one_near_0() -> None:
    similarity = TfidfSimilarity(CORPUS)
    assert similarity.compare(CORPUS[0], CORPUS[0]).value == 1.0
    assert similarity.compare("Zürich", "Zürich").value == 1.0
    close = similarity.compare("The parcel arrived on Tuesday.", CORPUS[0]).value
    far = similarity.compare("My invoice was never right", CORPUS[0]).value
    assert 0.6 < close < 1.0
    assert far < 0.3
    assert similarity.compare(CORPUS[0], "").value == 0.0
    assert similarity.compare("a b", "b a") == similarity.compare("b a", "a b")


def test_an_empty_corpus_still_compares() -> None:
    assert TfidfSimilarity([]).compare("text one", "text").value > 0


def test_the_reference_is_the_criterions_then_the_cases() -> None:
    parts = ScoringParts(similarity=TfidfSimilarity(CORPUS))
    answer = JudgedAnswer("same", values={"text": "the source"}, reference="same")
    assert score_similarity(answer, None, parts).value == 1.0
    assert score_similarity(answer, "other words", parts).value == 0.0
    source = JudgedAnswer("the source", values={"text": "the source"}, reference="no")
    assert score_similarity(source, "source", parts).value == 1.0


def test_without_a_reference_or_a_similarity_it_is_not_run() -> None:
    parts = ScoringParts(similarity=TfidfSimilarity(CORPUS))
    assert score_similarity(JudgedAnswer("a"), None, parts).value is None
    assert score_similarity(JudgedAnswer("a", reference="a"), None, ScoringParts()).value is None


def test_each_score_says_by_what_it_was_found() -> None:
    first, other = TfidfSimilarity(CORPUS, "no model"), TfidfSimilarity([*CORPUS, "more"])
    score = score_similarity(
        JudgedAnswer("a text", reference="a text"), None, ScoringParts(similarity=first)
    )
    assert score.reason == f"by {first.identity} (no model)"
    assert first.identity != other.identity, "another corpus gives other scores"
