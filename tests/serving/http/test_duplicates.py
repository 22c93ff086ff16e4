"""Duplicate fields are found at every depth; JSON is only parsed again where there may be one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.requests import refuse_duplicates
from sluice.errors import RequestInvalid

objects = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(objects)
def test_what_has_each_field_once_passes(value: object) -> None:
    refuse_duplicates(json.dumps(value).encode(), 0)


@pytest.mark.parametrize(
    "body", [b'{"a": 1, "a": 1}', b'{"b": [{"a": 1, "\\u0061" : 2}]}', b'{"a":{"a":1,"a":null}}']
)
def test_a_field_twice_is_named(body: bytes) -> None:
    with pytest.raises(RequestInvalid, match=r"^a: found twice"):
        refuse_duplicates(body, 1)


def test_with_no_more_colons_than_fields_nothing_can_be_there_twice() -> None:
    refuse_duplicates(b'{"a": 1, "b": 2}', 2)


def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="nested too deep"):
        refuse_duplicates(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 0)
