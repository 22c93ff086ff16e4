"""Everything that the OpenAPI description allows, and any bytes: never a 5xx, never a hang."""

import socket
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st

from support.gateway.site import Running

if TYPE_CHECKING:  # importing it takes a second, which every process of the session would spend
    from schemathesis import Case

pytestmark = [
    pytest.mark.slow,  # another thread of the process may draw from `random` meanwhile
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]
SECONDS = 20.0
PREDICT = b"POST /v1/models/towns:predict HTTP/1.1\r\nhost: x\r\n"
Operations = list["Case"]


@pytest.fixture(scope="module")
def operations(gateway: Running) -> Operations:
    import schemathesis

    schema = schemathesis.openapi.from_url(f"{gateway.address}/openapi.json")
    found = [item.ok() for item in schema.get_all_operations()]
    wanted = ("/v1/models/towns:predict", "/v1/feedback")
    return [item for item in found if item.path in wanted]


@pytest.mark.parametrize(
    ("mode", "check"),
    [
        ("POSITIVE", "positive_data_acceptance"),
        ("NEGATIVE", "negative_data_rejection"),
    ],
)
def test_what_its_description_allows_is_accepted_and_nothing_else(
    operations: Operations, mode: str, check: str
) -> None:
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    always = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    assert len(operations) == 2
    for operation in operations:

        @hypothesis.given(case=operation.as_strategy(generation_mode=GenerationMode[mode]))
        @hypothesis.settings(max_examples=60, deadline=None, database=None, derandomize=True)
        def ask(case: "Case") -> None:
            case.call_and_validate(checks=[*always, getattr(checks, check)], timeout=SECONDS)

        ask()


@hypothesis.given(st.binary(max_size=300), st.booleans())
@hypothesis.settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_any_bytes_get_a_refusal_or_nothing(gateway: Running, noise: bytes, framed: bool) -> None:
    length = f"content-length: {len(noise)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", gateway.port), SECONDS) as caller:
        caller.sendall(PREDICT + length + noise if framed else noise + b"\r\n\r\n")
        caller.shutdown(socket.SHUT_WR)
        got = caller.recv(1000)
    assert not got or got.startswith(b"HTTP/1.1 4")
