"""The body of a request: its own fields are strict, the inputs stay raw for the model."""

import pytest

from serving.http.requests import decode_request
from sluice.errors import RequestInvalid


def test_inputs_stay_as_they_came() -> None:
    found = decode_request(
        '{"inputs": {"a":  1, "a": "é"}, "unit": "u", "request_id": "r"}'.encode()
    )
    assert bytes(found.inputs) == '{"a":  1, "a": "é"}'.encode()
    assert (found.unit, found.request_id) == ("u", "r")


def test_unit_and_id_may_be_absent() -> None:
    found = decode_request(b'{"inputs": []}')
    assert (found.unit, found.request_id) == (None, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "missing required field inputs"),
        (b"[]", "got array"),
        (b'{"inputs": {}, "units": "u"}', "unknown field units; allowed: inputs"),
        (b'{"inputs": {}, "unit": 7}', "unit: found: Expected str | null, got int"),
        (b'{"inputs": {}, "unit": ""}', "unit: found: Expected str of length >= 1"),
        (b'{"inputs": {}, "request_id": "' + b"x" * 129 + b'"}', "request_id: found: Expected str"),
        (b'{"inputs": {"a": "\xff"}}', "not UTF-8"),
        (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"inputs": NaN}', "malformed"),
        (b"", "truncated"),
    ],
)
def test_what_is_not_a_request_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        decode_request(body)
    assert message in str(refused.value)
    assert "allowed: inputs (one record or a list)" in str(refused.value)
