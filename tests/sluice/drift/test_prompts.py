"""Drift of the inputs of prompts: each planted change is found, and none where nothing changed."""

import numpy as np
import pytest

from sluice.drift.findings import DriftJudgement
from sluice.drift.prompts import find_topics, guess_language, judge_inputs

SUBJECTS = ("bill", "parcel", "password", "refund", "invoice", "courier")
WORDS = [
    "please",
    "help",
    "me",
    "with",
    "the",
    "order",
    "that",
    "I",
    "made",
    "for",
    "my",
    "house",
    "and",
    "tell",
    "you",
    "when",
    "it",
    "is",
    "here",
]
GERMAN = [
    "bitte",
    "helfen",
    "sie",
    "mir",
    "mit",
    "der",
    "Bestellung",
    "die",
    "ich",
    "für",
    "das",
    "Haus",
    "gemacht",
    "habe",
    "und",
    "nicht",
]
SPORT = [
    "goal",
    "match",
    "player",
    "team",
    "league",
    "coach",
    "stadium",
    "striker",
    "penalty",
    "referee",
    "keeper",
    "season",
]


def make_inputs(
    count: int, seed: int, words: list[str] = WORDS, least: int = 8
) -> list[dict[str, str]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "text": " ".join(
                [*rng.choice(words, int(rng.integers(least, least + 8))), str(rng.choice(SUBJECTS))]
            )
        }
        for _ in range(count)
    ]


def list_alarms(found: DriftJudgement) -> set[str]:
    return {one.column for one in found.columns if one.alarm}


REFERENCE = make_inputs(3000, 1)


def test_nothing_alarms_where_nothing_changed() -> None:
    assert list_alarms(judge_inputs("greet", REFERENCE, make_inputs(1500, 2))) == set()


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        (make_inputs(1500, 3, least=20), "text.length"),
        (make_inputs(1500, 3, words=[*WORDS, *SPORT]), "text.unknown_words"),
        (make_inputs(900, 3) + make_inputs(600, 4, words=GERMAN), "language"),
    ],
)
def test_a_planted_change_is_found(changed: list[dict[str, str]], column: str) -> None:
    assert column in list_alarms(judge_inputs("greet", REFERENCE, changed))


def test_another_mix_of_known_subjects_is_a_change_of_topic() -> None:
    rng = np.random.default_rng(7)

    def make(shares: list[float], count: int) -> list[dict[str, str]]:
        pools = (["bill", "invoice", "refund", "card"], ["parcel", "courier", "street", "door"])
        chosen = rng.choice(2, count, p=shares)
        return [{"text": " ".join(rng.choice(pools[pool], 6))} for pool in chosen]

    found = judge_inputs("greet", make([0.5, 0.5], 3000), make([0.1, 0.9], 1500))
    assert "topic" in list_alarms(found)


def test_a_variable_may_have_the_name_of_what_is_guessed() -> None:
    def call(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        return [{"language": row["text"], "topic": "a parcel of mine"} for row in rows]

    changed = make_inputs(1500, 3, least=20)
    found = judge_inputs("greet", call(REFERENCE), call(changed))
    assert "language.length" in list_alarms(found)
    assert "language" not in list_alarms(found), "all of it is English"


def test_few_requests_decide_nothing() -> None:
    found = judge_inputs("greet", REFERENCE, make_inputs(60, 3, least=40))
    assert list_alarms(found) == set()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The parcel is not here and I have to go", "en"),
        ("Das Paket ist nicht da und ich muss gehen", "de"),
        ("Le colis est en retard et je ne suis pas content", "fr"),
        ("El paquete no llega y es para mi madre", "es"),
        ("Посылка не пришла", "cyrillic"),
        ("荷物が届きません", "japanese"),
        ("12 345", "none"),
        ("ok", "other"),
    ],
)
def test_a_language_or_script_is_guessed(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_topics_need_texts() -> None:
    assert find_topics(["a"] * 10) is None
