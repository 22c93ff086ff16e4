"""How files are read is configuration: strict, kept in the YAML, in no old fingerprint."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sluice.config.loading import dump_service, hash_service, load_service
from sluice.config.reading import ReadingConfig
from sluice.config.reading_text import change_reading, set_reading
from sluice.documents import parse_yaml
from sluice.errors import ChoiceNeeded, ConfigInvalid

BEFORE = ReadingConfig()
PATH = Path("configs/shop.yaml")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"delimiter": "ab"}, "allowed: one sign"),
        ({"delimiter": ""}, "allowed: one sign"),
        ({"delimiter": '"'}, "allowed: one sign"),
        ({"encoding": "utf-9"}, "found 'utf-9', allowed: a text encoding such as utf-8"),
        ({"encoding": "base64"}, "allowed: a text encoding"),
        ({"decimal": ";"}, "Input should be"),
        ({"zone": "Europe/Bonn"}, "allowed: the IANA name of a time zone"),
        ({"zone": "../../etc/passwd"}, "allowed: the IANA name"),
        ({"columns": {"a": {"time": "%d.%m.%Q"}}}, "found '%Q', allowed: iso, or a form of"),
        ({"columns": {"a": {"time": "yesterday"}}}, "found 'yesterday', allowed: iso"),
        ({"columns": {"a": {"thousands": "."}}, "decimal": "."}, "the decimal sign"),
        ({"separator": ","}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_allowed_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("/", "/")):
        ReadingConfig.model_validate(values)


def test_options_are_checked_and_normalised() -> None:
    found = change_reading(BEFORE, {"delimiter": "tab", "encoding": "UTF8", "decimal": ","})
    assert (found.delimiter, found.encoding, found.decimal) == ("\t", "utf-8", ",")
    for option, value in (("delimiter", "xx"), ("encoding", "nope"), ("decimal", "x")):
        with pytest.raises(ChoiceNeeded, match=f"--{option}: found '{value}', allowed: "):
            change_reading(BEFORE, {option: value})


@pytest.mark.parametrize("service", ["employment", "earnings", "arrivals"])
def test_a_service_without_the_section_keeps_its_fingerprint(service: str) -> None:
    config = load_service(service, "development")
    assert config.data.reading == BEFORE
    assert "reading" not in dump_service(config)
    reading = change_reading(BEFORE, {"zone": "Europe/Berlin"})
    data = config.data.model_copy(update={"reading": reading})
    assert hash_service(config.model_copy(update={"data": data})) != hash_service(config)


TEXTS = [
    "service: shop\ndata:\n  # the key\n  id: a   # never changes\n  target: b\nsplit: {}\n",
    "data:\n    id: a\n    reading: {zone: UTC}  # here\n    target: b\n",
    "data:\n  id: a\n  reading:\n    zone: UTC # here\n    # none\n    delimiter: ','  # a comma\n",
    "data:\n  reading: {}\n  id: a\n",
    "data:\n  id: a\n  reading:\n      columns:\n        x: {prefix: $}\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_keys_are_changed_in_the_text_and_comments_stay(text: str) -> None:
    reading = change_reading(BEFORE, {"delimiter": ";", "encoding": "cp1252", "decimal": ","})
    new = set_reading(PATH, text, reading, BEFORE)
    section = parse_yaml(new)["data"]["reading"]
    assert section["delimiter"] == ";"
    assert (section["encoding"], section["decimal"]) == ("cp1252", ",")
    before = parse_yaml(text)
    before["data"].pop("reading", None)
    after = parse_yaml(new)
    after["data"].pop("reading")
    assert after == before
    for line in text.splitlines():
        comment = line.partition("#")[2]
        assert comment in new
    assert set_reading(PATH, new, reading, reading) == new


def test_a_tab_is_written_so_that_it_is_read_again() -> None:
    reading = change_reading(BEFORE, {"delimiter": "\t"})
    new = set_reading(PATH, TEXTS[0], reading, BEFORE)
    assert ReadingConfig.model_validate(parse_yaml(new)["data"]["reading"]) == reading


@pytest.mark.parametrize("text", ["data: {id: a, target: b}\n", "data: &d\n  id: a\nmore: *d\n"])
def test_a_file_that_cannot_be_changed_is_named_with_the_lines(text: str) -> None:
    reading = change_reading(BEFORE, {"decimal": ","})
    with pytest.raises(ConfigInvalid, match=r"shop.yaml: data: cannot be changed .*decimal"):
        set_reading(PATH, text, reading, BEFORE)
