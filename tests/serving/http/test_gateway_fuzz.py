"""Everything that the OpenAPI description allows, and any bytes: never a 5xx, never a hang."""

import socket

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from support.gateway.site import Running

pytestmark = [
    pytest.mark.slow,  # another thread of the process may draw from `random` meanwhile
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]
ALWAYS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
SECONDS = 20.0
PREDICT = b"POST /v1/models/towns:predict HTTP/1.1\r\nhost: x\r\n"
Operations = list[schemathesis.Case]


@pytest.fixture(scope="module")
def operations(gateway: Running) -> Operations:
    schema = schemathesis.openapi.from_url(f"{gateway.address}/openapi.json")
    found = [item.ok() for item in schema.get_all_operations()]
    wanted = ("/v1/models/towns:predict", "/v1/feedback")
    return [item for item in found if item.path in wanted]


@pytest.mark.parametrize(
    ("mode", "check"),
    [
        (GenerationMode.POSITIVE, checks.positive_data_acceptance),
        (GenerationMode.NEGATIVE, checks.negative_data_rejection),
    ],
)
def test_what_its_description_allows_is_accepted_and_nothing_else(
    operations: Operations, mode: GenerationMode, check: schemathesis.checks.CheckFunction
) -> None:
    assert len(operations) == 2
    for operation in operations:

        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        @hypothesis.settings(max_examples=60, deadline=None, database=None, derandomize=True)
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=[*ALWAYS, check], timeout=SECONDS)

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
