"""How a new column's cells are written is added to a person's YAML; all else stays."""

import pytest
import yaml

from sluice.config.reading import NULL_WORDS, PLAIN, ColumnReading, ReadingConfig
from sluice.config.reading_text import add_form
from sluice.errors import ConfigInvalid

FORM = ColumnReading(prefix="$", thousands=",")
WRITTEN = {"prefix": "$", "thousands": ","}
TEXTS = {
    "none": "service: shop\ndata:\n  id: key   # never changes\nsplit: {by: hash}\n",
    "empty": "data:\n  reading: {}\n  id: key\n",
    "a zone": "data:\n  id: key\n  reading:\n    zone: UTC   # of the shops\nsplit: {by: hash}\n",
    "columns": "data:\n  reading:\n    columns:\n      size:\n        suffix: '%'\n  id: key\n",
    "no columns": "data:\n  reading:\n    columns: {}\n  id: key\n",
    "words": "data:\n  reading:\n    nulls: [NA, x]   # two\n  id: key\n",
    "words in lines": "data:\n  reading:\n    nulls:\n    - NA\n    - x   # second\n  id: key\n",
    "one line": "{service: shop, data: {id: key, reading: {decimal: '.'}}}\n",
    "one line without": "{service: shop, data: {id: key}}\n",
}


def read(text: str) -> ReadingConfig:
    return ReadingConfig.model_validate(yaml.safe_load(text)["data"].get("reading", {}))


@pytest.mark.parametrize("lines", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["price", "odd: name", "Stra\u00dfe", "1.5", "true"])
@pytest.mark.parametrize("case", TEXTS)
def test_a_form_and_its_words_are_added_once(case: str, name: str, lines: str) -> None:
    text = TEXTS[case].replace("\n", lines)
    before = read(text)
    edited = add_form(text, name, FORM, ("-", "NA"), before)
    found = read(edited)
    assert found.columns == {name: FORM, **before.columns}
    assert set(found.nulls) == {*before.nulls, "-"} | ({"NA"} - set(before.nulls))
    assert yaml.safe_load(edited)["data"]["id"] == "key"
    assert edited.count("\n") == edited.count(lines)
    kept = [line for line in text.split(lines) if "#" in line]
    assert all(line.split("#")[1] in edited for line in kept)
    assert add_form(edited, name, FORM, ("-", "NA"), found) == edited


@pytest.mark.parametrize("case", TEXTS)
def test_a_column_as_usual_changes_nothing(case: str) -> None:
    text = TEXTS[case]
    assert add_form(text, "price", PLAIN, read(text).nulls, read(text)) == text


def test_a_file_that_cannot_be_edited_is_refused_with_the_lines_to_write() -> None:
    text = "data: &shared\n  id: key\nother: *shared\n"
    with pytest.raises(ConfigInvalid, match="next: write") as caught:
        add_form(text, "price", FORM, NULL_WORDS, ReadingConfig())
    assert '"price": {"thousands": ",", "prefix": "$"}' in str(caught.value)


@pytest.mark.parametrize("known", ["", "  encodings: {size: target}\n", "  encodings: {}\n"])
def test_an_encoding_is_added_beside_the_others(known: str) -> None:
    text = f"data:\n  id: key\n{known}split: {{by: hash}}\n"
    edited = add_form(text, "paid", PLAIN, (), ReadingConfig(), "date")
    old = yaml.safe_load(text)["data"].get("encodings", {})
    assert yaml.safe_load(edited)["data"]["encodings"] == {"paid": "date", **old}
    assert add_form(edited, "paid", PLAIN, (), ReadingConfig(), "date") == edited
