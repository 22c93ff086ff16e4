"""A record is decoded by the model's columns, or refused with field, found and allowed."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.requests import decode_request
from serving.models.signature import MAX_RECORDS, Signature, is_many
from sluice.errors import RequestInvalid

SIGNATURE = Signature(
    {"age": "integer", "pay-1": "number", "class": "text", "here": "boolean", "seen": "timestamp"}
)
GOOD: dict[str, Any] = {
    "age": 31,
    "pay-1": 2.5,
    "class": "a",
    "here": True,
    "seen": "2024-05-01T12:00:00Z",
}


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
JSON = st.dictionaries(st.sampled_from([*GOOD, "x"]), VALUES | st.lists(VALUES)) | VALUES


def refuse(content: bytes | str | Any) -> str:
    """Return the message of inputs that are refused."""
    text = content if isinstance(content, bytes | str) else json.dumps(content)
    with pytest.raises(RequestInvalid) as refused:
        SIGNATURE.decode(text if isinstance(text, bytes) else text.encode())
    return str(refused.value)


def test_one_record_is_a_list_of_one() -> None:
    (record,) = SIGNATURE.decode(json.dumps(GOOD).encode())
    places = SIGNATURE.places_of(("seen", "class", "age", "pay-1", "here"))
    values = [getattr(record, place) for place in places]
    assert values == [datetime(2024, 5, 1, 12, tzinfo=UTC), "a", 31, 2.5, True]


def test_many_records_keep_their_order() -> None:
    content = json.dumps([{**GOOD, "age": age} for age in range(20)]).encode()
    (age,) = SIGNATURE.places_of(("age",))
    assert [getattr(item, age) for item in SIGNATURE.decode(b" \n" + content)] == list(range(20))


def test_nulls_are_accepted_and_integers_count_as_numbers() -> None:
    (record,) = SIGNATURE.decode(json.dumps(dict.fromkeys(GOOD)).encode())
    assert [getattr(record, place) for place in SIGNATURE.places_of(tuple(GOOD))] == [None] * 5
    (record,) = SIGNATURE.decode(json.dumps({**GOOD, "pay-1": 3}).encode())
    assert getattr(record, SIGNATURE.places_of(("pay-1",))[0]) == 3.0


def test_a_field_that_the_model_does_not_know_is_ignored() -> None:
    assert SIGNATURE.decode(json.dumps({**GOOD, "new": [1, {}]}).encode()) == SIGNATURE.decode(
        json.dumps(GOOD).encode()
    )


@pytest.mark.parametrize("name", GOOD)
def test_an_absent_field_is_named(name: str) -> None:
    message = refuse({key: value for key, value in GOOD.items() if key != name})
    assert message.startswith(f"inputs.{name}: found nothing; allowed: ")
    message = refuse([GOOD, {key: value for key, value in GOOD.items() if key != name}])
    assert message.startswith(f"inputs[1].{name}: found nothing; allowed: ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("age", '"31"', "found str; allowed: a whole number of 64 bits, such as 3 or 3.0, or null"),
        ("age", "3.5", "found float; allowed: a whole number"),
        ("age", "true", "found bool; allowed: a whole number"),
        ("age", "9" * 30, "found Expected `int` <= 9223372036854775807; allowed: a whole"),
        ("age", "[1]", "found array; allowed: a whole number"),
        ("pay-1", '"many"', "found str; allowed: a finite number, or null"),
        ("pay-1", "1e999", "found Number out of range; allowed: a finite number"),
        ("pay-1", "9" * 400, "found Number out of range; allowed: a finite number"),
        ("class", "7", "found int; allowed: a text, or null"),
        ("class", "{}", "found object; allowed: a text, or null"),
        ("here", "1", "found int; allowed: true, false or null"),
        ("seen", '"yesterday"', "found Invalid RFC3339 encoded datetime; allowed: an RFC 3339"),
        ("seen", "1714564800", "found int; allowed: an RFC 3339 time"),
    ],
)
def test_a_value_of_another_kind_is_named_and_never_shown(
    name: str, value: str, message: str
) -> None:
    body = json.dumps({**GOOD, name: "PLACE"}).replace('"PLACE"', value)
    assert refuse(body).startswith(f"inputs.{name}: {message}")
    assert "31" not in refuse(body)
    assert "many" not in refuse(body)


@pytest.mark.parametrize(("text", "value"), [("3.0", 3), ("-0.0", 0), ("4e2", 400), ("7", 7)])
def test_a_whole_number_may_have_a_point(text: str, value: int) -> None:
    body = json.dumps({**GOOD, "age": "PLACE"}).replace('"PLACE"', text)
    (place,) = SIGNATURE.places_of(("age",))
    for content, rows in ((body, 1), (f"[{body}, {json.dumps(GOOD)}]", 2)):
        records = SIGNATURE.decode(content.encode())
        assert (len(records), type(records[0])) == (rows, SIGNATURE.record)
        found = getattr(records[0], place)
        assert (found, type(found)) == (value, int)


@pytest.mark.parametrize("text", ["3.5", "1e300", "9007199254740992.0", "-9007199254740993.0"])
def test_a_number_that_is_not_whole_for_certain_is_refused_at_its_place(text: str) -> None:
    body = json.dumps({**GOOD, "age": "PLACE"}).replace('"PLACE"', text)
    assert refuse(body).startswith("inputs.age: found float; allowed: a whole number")
    second = f"[{json.dumps(GOOD)}, {body}]"
    assert refuse(second).startswith("inputs[1].age: found float; allowed: a whole number")


def test_a_fault_beside_a_whole_number_with_a_point_is_named() -> None:
    assert refuse({**GOOD, "age": 3.0, "class": 7}).startswith("inputs.class: found int; allowed")


@pytest.mark.parametrize("content", ["5", '"text"', "null", "[5]", "[[]]", "[]"])
def test_inputs_without_a_record_are_refused(content: str) -> None:
    assert "allowed: one record, or a list of 1 to 1,000 of them" in refuse(content)


def test_more_records_than_allowed_are_refused() -> None:
    assert "allowed: one record, or a list" in refuse([GOOD] * (MAX_RECORDS + 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated"),
        (b'{"age": NaN}', "malformed"),
        (b'{"age": 1', "truncated"),
        (b'{"class": "\xff"}', "not UTF-8"),
        (b'{"class": "\\ud800"}', "truncated"),
        (b'{"zz": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deep"),
    ],
)
def test_inputs_that_are_not_json_are_refused(content: bytes, message: str) -> None:
    assert message in refuse(content)


def test_of_a_field_given_twice_the_last_counts() -> None:
    text = json.dumps(GOOD)[:-1] + ', "age": 99}'
    (record,) = SIGNATURE.decode(text.encode())
    assert getattr(record, SIGNATURE.places_of(("age",))[0]) == 99


@given(st.binary() | st.text().map(str.encode) | JSON.map(json.dumps).map(str.encode))
def test_any_input_is_accepted_or_refused(content: bytes) -> None:
    with suppress(RequestInvalid):
        assert SIGNATURE.decode(content)
    with suppress(RequestInvalid):
        assert SIGNATURE.decode(bytes(decode_request(b'{"inputs": ' + content + b"}").inputs))


@pytest.mark.parametrize(
    ("change", "fits"),
    [({}, True), ({"age": None, "seen": None}, True), ({"new": 1}, True), ({"age": "31"}, False)],
)
def test_the_schema_describes_what_is_accepted(change: dict[str, Any], fits: bool) -> None:
    from jsonschema import Draft202012Validator

    found = {**GOOD, **change}
    assert Draft202012Validator(SIGNATURE.describe()).is_valid(found) is fits
    assert not Draft202012Validator(SIGNATURE.describe()).is_valid({"age": 31})


def test_the_description_says_what_is_taken_besides() -> None:
    known = SIGNATURE.describe()["properties"]
    assert "such as 3.0" in known["age"]["description"]
    assert "without a zone is UTC" in known["seen"]["description"]


def test_a_list_is_distinguished_from_a_record() -> None:
    assert is_many(b" [{}]")
    assert not is_many(b" {}")
