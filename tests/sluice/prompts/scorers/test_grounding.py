"""Numbers and names of an answer stand in its source, or are named."""

from decimal import Decimal

import pytest

from sluice.prompts.scorers.grounding import list_names, read_numbers, score_grounding
from sluice.prompts.scorers.scoring import JudgedAnswer, ScoringParts

SOURCE = (
    "In 1998 Anna Berg of the Swiss firm Helvia sold 1.5 million clocks, a third of them to Peru. "
    "The EU fined it 2,500 euros and 12% of sales; three factories closed. Sales fell by 40."
)


def score(text: str, expected: object = None, source: str = SOURCE) -> tuple[float | None, str]:
    answer = JudgedAnswer(text, values={"text": source})
    found = score_grounding(answer, expected, ScoringParts())
    return found.value, found.reason


@pytest.mark.parametrize(
    "text",
    [
        "- In 1998 Anna Berg sold clocks.\n- Helvia sold 1,500,000 clocks.\n- The EU fined it.",
        "1. Berg's firm, a Swiss one.\n2. The fine was 2500 euros.\n3. It was 12 percent.",
        "A Peruvian third went to the Swiss and the Helvian.",
        "Three factories closed, forty fewer sales, 1.5m clocks.",
        "However, nothing was decided.",
        "",
    ],
)
def test_what_stands_in_the_source_is_grounded(text: str) -> None:
    assert score(text) == (1.0, "")


@pytest.mark.parametrize(
    ("text", "value", "claims"),
    [
        ("In 1999 Anna Berg sold clocks.", 2 / 3, "1999"),
        ("The EU fined it 2,600 euros.", 1 / 2, "2,600"),
        ("Helvia sold 1.5 billion clocks.", 0.0, "1.5 billion"),
        ("Its owner Anna Miller sold clocks to Chile.", 1 / 3, "Miller, Chile"),
        ("Four factories closed.", 0.0, "Four"),
    ],
)
def test_an_invented_number_or_name_is_named(text: str, value: float, claims: str) -> None:
    found, reason = score(text)
    assert found == pytest.approx(value)
    assert reason == f"not in the source: {claims}"


def test_numbers_or_names_can_be_looked_at_alone() -> None:
    assert score("In 1999 Anna left.", ["names"]) == (1.0, "")
    assert score("In 1998 Otto left Peru.", ["numbers"]) == (1.0, "")


def test_passages_are_the_source_where_there_are_any_and_without_a_source_nothing_is_said() -> None:
    answer = JudgedAnswer("It was 7.", values={"text": "7"}, context=("It was 8.",))
    assert score_grounding(answer, None, ScoringParts()).value == 0.0
    assert score("It was 7.", source=" ")[0] is None


def test_numbers_are_read_by_value() -> None:
    text = "1,234.50 and 3rd, 1990s, 5 thousand, twelve, 0.10 and one of 2 million, A4, 3D, 1.2.3"
    values = {key: found[0] for key, found in read_numbers(text).items()}
    assert values == {
        "1,234.50": Decimal("1234.5"), "3rd": 3, "1990s": 1990, "5 thousand": 5000, "twelve": 12,
        "0.10": Decimal("0.1"), "2 million": 2_000_000,
    }  # fmt: skip


def test_a_word_alone_at_the_start_of_a_sentence_is_no_name() -> None:
    text = "Prices rose in Rome. However, Anna Berg's dog NATO slept.\nOne of the Germans left."
    assert list_names(text) == ("Rome", "Anna", "Berg", "NATO", "Germans")
